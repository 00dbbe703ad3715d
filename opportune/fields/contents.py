"""Fields for Markdown, lists of text and JSON."""

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqlalchemy import JSON

from opportune.i18n import gettext_lazy as _l
from opportune.schemas.annotations import FieldOptions, Stored
from opportune.text import Line, Text

INVALID_JSON = _l('please enter JSON, such as {"colour": "red"}')


def _split_lines(value: object) -> object:
    """Split the text of a form into lines."""
    return [line for line in map(str.strip, value.splitlines()) if line] if isinstance(value, str) else value


def _parse_json(value: object) -> object:
    """Parse the text of a form. Raises ValueError unless it is an object or an array."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict | list):
        raise ValueError(INVALID_JSON)
    return parsed


TextList = Annotated[
    list[Line], BeforeValidator(_split_lines), Field(max_length=1000), FieldOptions(type="lines", rows=4)
]
"""List of texts. In forms, each item is a line."""

Json = Annotated[
    dict[str, Any] | list[Any],
    BeforeValidator(_parse_json),
    Stored(JSON(none_as_null=True)),
    FieldOptions(type="json", rows=6),
]
"""JSON object or array."""

Markdown = Annotated[Text, FieldOptions(type="markdown", rows=8)]
"""Markdown text with a preview in forms. Render it with `{{ book.description | markdown }}`."""
