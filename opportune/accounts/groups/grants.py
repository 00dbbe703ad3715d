"""Grants of groups: pairs of a model's identity in the admin and an action; either may be `*`.

This module does not import SQLAdmin, because every process needs the names when it starts.
"""

import re
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import product
from typing import Any

ACTIONS = ("list", "get", "create", "update", "delete", "export", "import")
RENAMED_ACTIONS = {"details": "get", "edit": "update"}
"""SQLAdmin's names of two actions, which grants also had until 0.2, and the names in grants."""
WILDCARD = "*"


def identity_of(model: type[Any]) -> str:
    """Return a model's identity in addresses: `book-tag` for `BookTag`."""
    return _hyphenate(model.__name__)


@cache
def _hyphenate(name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1-\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", words).lower()


def matches_grant(grants: AbstractSet[tuple[str, str]], identity: str, action: str) -> bool:
    return not grants.isdisjoint(product((identity, WILDCARD), (action, WILDCARD)))


def renamed_action(action: str) -> str:
    """Return ` It is called update now.` for the end of an error message; empty if the action has no new name."""
    return f" It is called {RENAMED_ACTIONS[action]} now." if action in RENAMED_ACTIONS else ""
