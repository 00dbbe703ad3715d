"""Permissions of groups: pairs of a model's identity in the admin and an action; either may be `*`.

This module does not import SQLAdmin, because every process needs the names when it starts.
"""

import re
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import product
from typing import Any

from opportune.errors import OperatorError
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.errors.renamed_names import renamed_to

ACTIONS = ("list", "get", "create", "update", "delete", "export", "import")
WILDCARD = "*"


def identity_of(model: type[Any]) -> str:
    """Return a model's identity in URLs: `book-tag` for `BookTag`."""
    return _hyphenate(model.__name__)


@cache
def _hyphenate(name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1-\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", words).lower()


def matches_permission(permissions: AbstractSet[tuple[str, str]], identity: str, action: str) -> bool:
    return not permissions.isdisjoint(product((identity, WILDCARD), (action, WILDCARD)))


def refuse_renamed_action(action: str) -> None:
    """Raise OperatorError for an action that had another name until 0.2."""
    if action in RENAMED_ACTIONS:
        raise OperatorError(f"There is no action {action!r}.{renamed_to(action, RENAMED_ACTIONS)}")
