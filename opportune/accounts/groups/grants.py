"""What groups are granted: pairs of a model's name in the admin's addresses and an action, either of which may be `*`.

As SQLAdmin has it, which is not imported for this: it takes long, and every site's start needs these names.
"""

import re
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import product
from typing import Any

ACTIONS = ("list", "details", "create", "edit", "delete", "export", "import")
WILDCARD = "*"


def identity_of(model: type[Any]) -> str:
    """A model's name in addresses: `book-tag` for `BookTag`."""
    return _hyphened(model.__name__)


@cache
def _hyphened(name: str) -> str:
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1-\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", words).lower()


def matches_grant(grants: AbstractSet[tuple[str, str]], identity: str, action: str) -> bool:
    return any(pair in grants for pair in product((identity, WILDCARD), (action, WILDCARD)))
