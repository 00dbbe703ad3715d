"""What somebody writes at length or in several pieces: Markdown, lists of texts, JSON."""

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqlalchemy import JSON

from opportune.schemas.annotations import FieldOptions, Stored
from opportune.text import Line, Text

JSON_WANTED = 'please write this as JSON, such as {"colour": "red"}'


def _lines(value: object) -> object:
    """A form has one text, with a line for each."""
    return [line for line in map(str.strip, value.splitlines()) if line] if isinstance(value, str) else value


def _json(value: object) -> object:
    """A form has a text. One that means a text or a number is no JSON to look into."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict | list):
        raise ValueError(JSON_WANTED)
    return found


TextList = Annotated[list[Line], BeforeValidator(_lines), Field(max_length=1000), FieldOptions(type="lines", rows=4)]
"""Several texts; in forms a line each."""

Json = Annotated[
    dict[str, Any] | list[Any],
    BeforeValidator(_json),
    Stored(JSON(none_as_null=True)),
    FieldOptions(type="json", rows=6),
]
"""An object or a list of JSON, as it comes."""

Markdown = Annotated[Text, FieldOptions(type="markdown", rows=8)]
"""Text with Markdown: `{{ book.description | markdown }}` shows it, and forms have a preview."""
