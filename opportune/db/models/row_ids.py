"""Ids of rows in paths and texts."""

import re
from typing import Annotated

from fastapi import Path
from pydantic import BeforeValidator

MAX_ID = 2**63 - 1
DIGITS = re.compile("[1-9][0-9]{,18}")


def _require_digits(text: object) -> object:
    """Refuse ` 1`, `+1`, `01`, `1_0` and `1\\n`, which Pydantic accepts as integers, so that each row has one URL."""
    if isinstance(text, str) and not DIGITS.fullmatch(text):
        raise ValueError("must be digits")
    return text


RowKey = Annotated[int, BeforeValidator(_require_digits)]
RowId = Annotated[RowKey, Path(ge=1, le=MAX_ID)]
"""Id of a row as a path parameter. Numbers outside the range of ids are not found (404)."""


def parse_row_id(text: str) -> int | None:
    """Return the id that a text contains, or None if it contains anything but digits or no row can have the id."""
    return number if DIGITS.fullmatch(text) and (number := int(text)) <= MAX_ID else None
