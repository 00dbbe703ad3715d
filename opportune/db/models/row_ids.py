"""Ids of rows in paths and texts."""

from typing import Annotated

from fastapi import Path
from pydantic import BeforeValidator

MAX_ID = 2**63 - 1


def _require_digits(text: object) -> object:
    """Refuse ` 1`, `+1`, `1_0` and `1\\n`, which Pydantic accepts as integers, so that each row has a single URL."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError("must be digits")
    return text


RowKey = Annotated[int, BeforeValidator(_require_digits)]
RowId = Annotated[RowKey, Path(ge=1, le=MAX_ID)]
"""Id of a row as a path parameter. Numbers outside the range of ids are not found (404)."""


def parse_row_id(text: str) -> int | None:
    """Return the id that a text contains, or None if it contains anything but digits or no row can have the id."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))):
        return None
    number = int(text)
    return number if 1 <= number <= MAX_ID else None
