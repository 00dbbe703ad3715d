"""Permissions match those of SQLAdmin."""

from itertools import product

import pytest
from sqladmin import authorization
from sqladmin.helpers import slugify_class_name

from opportune.accounts.groups.permission_names import ACTIONS, WILDCARD, identity_of, matches_permission
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS


def test_actions_match_sqladmin() -> None:
    names = [RENAMED_ACTIONS.get(action, str(action)) for action in authorization.ACTIONS]
    assert (*names, authorization.WILDCARD) == (*ACTIONS, WILDCARD)


@pytest.mark.parametrize("name", ["Book", "BookTag", "LLMUsage", "Oauth2Grant", "ABTest", "X"])
def test_identities_match_sqladmin(name: str) -> None:
    assert identity_of(type(name, (), {})) == slugify_class_name(name)


def test_permissions_match_sqladmin() -> None:
    words = ["book", "tag", "*", "list", "update"]
    for held, requested in product(product(words, words), product(words, words)):
        assert matches_permission({held}, *requested) == authorization.matches_grant({held}, *requested), (
            held,
            requested,
        )
