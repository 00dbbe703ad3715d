"""Grants mean what they mean to SQLAdmin, which asks for them on every page of the admin."""

from itertools import product

import pytest
from sqladmin import authorization
from sqladmin.helpers import slugify_class_name

from opportune.accounts.groups.grants import ACTIONS, WILDCARD, identity_of, matches_grant


def test_actions_and_the_word_for_all_are_those_of_sqladmin() -> None:
    assert (*map(str, authorization.ACTIONS), authorization.WILDCARD) == (*ACTIONS, WILDCARD)


@pytest.mark.parametrize("name", ["Book", "BookTag", "LLMUsage", "Oauth2Grant", "ABTest", "X"])
def test_models_have_the_names_of_sqladmin_s_addresses(name: str) -> None:
    assert identity_of(type(name, (), {})) == slugify_class_name(name)


def test_what_is_granted_is_what_sqladmin_grants() -> None:
    words = ["book", "tag", "*", "list", "edit"]
    for held, asked in product(product(words, words), product(words, words)):
        assert matches_grant({held}, *asked) == authorization.matches_grant({held}, *asked), (held, asked)
