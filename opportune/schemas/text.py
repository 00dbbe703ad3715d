"""Texts that every database can store."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from opportune.schemas.annotations import UNBOUNDED, Stored

ONE_LINE = r"^[^\r\n]*$"
MAX_JSON_LEVELS = 200
"""Pydantic serializes 255 levels, of which a page of rows needs a few."""
MAX_STORED_LEVELS = 10
"""Levels of JSON from other servers to store."""
UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
"""NUL and halves of surrogate pairs, which databases refuse."""


def require_storable(value: str) -> str:
    """Return the text unchanged.

    Raises:
        ValueError: It contains NUL or half of a surrogate pair, which JSON can contain.
    """
    if "\0" in value:
        raise ValueError("must not contain the character NUL")
    try:
        value.encode()  # much faster than a search for UNSTORABLE
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return value


def require_storable_json(value: Any) -> Any:
    """Return the value for a column of JSON unchanged.

    Raises:
        ValueError: It contains a number or a text that databases refuse, or more levels than responses can have.
    """
    items = [value]
    for _ in range(MAX_JSON_LEVELS + 1):  # without recursion, because clients choose the depth
        items = [part for item in items for part in _checked_parts(item)]
        if not items:
            return value
    raise ValueError(f"must not be nested more than {MAX_JSON_LEVELS} levels deep")


def _checked_parts(item: Any) -> Iterable[Any]:
    """Check a value of JSON, and return those that it contains: None if it is empty, because that is a level."""
    if isinstance(item, str):
        require_storable(item)
    elif isinstance(item, float) and not math.isfinite(item):
        raise ValueError("must not contain NaN or an infinite number")
    elif isinstance(item, Mapping):
        return [*item.keys(), *item.values()] or [None]
    elif isinstance(item, list | tuple | set):
        return item or [None]
    return ()


def make_storable(value: str) -> str:
    """Remove NUL and replace halves of surrogate pairs. Use it for text that does not come from a form."""
    return value.replace("\0", "").encode(errors="replace").decode()


def make_storable_json(value: Any, level: int = 0) -> Any:
    """Return the value without texts and numbers that databases refuse, and without deeper levels."""
    if isinstance(value, str):
        return make_storable(value)
    if isinstance(value, list | dict) and level == MAX_STORED_LEVELS:
        return None
    if isinstance(value, list):
        return [make_storable_json(item, level + 1) for item in value]
    if isinstance(value, dict):
        return {make_storable(name): make_storable_json(item, level + 1) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shorten(text: str, max_length: int) -> str:
    """Return at most this number of characters of a text. A text that is cut ends with an ellipsis."""
    return text if len(text) <= max_length else f"{text[: max_length - 1]}…"


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(require_storable),
    Field(json_schema_extra={"format": "multiline"}),
    Stored(UNBOUNDED),
]
"""Text of several lines, without surrounding white space. NUL, which PostgreSQL refuses, is invalid."""

Line = Annotated[str, StringConstraints(strip_whitespace=True, pattern=ONE_LINE), AfterValidator(require_storable)]
"""One line of text, without surrounding white space."""

Password = Annotated[str, AfterValidator(require_storable), Field(json_schema_extra={"format": "password"})]
"""A password. Surrounding white space is part of it."""
