"""JSON Schema of tools, as language models get it."""

from collections.abc import Iterator, Mapping
from typing import Any

VALUE_KEYWORDS = ("const", "default", "enum", "examples")
"""Keywords of JSON Schema whose values are data, which may have a title."""


def without_titles(schema: Any) -> Any:
    """Remove Pydantic's titles, which repeat the names and cost tokens."""
    return dict(_untitled(schema)) if isinstance(schema, Mapping) else schema


def _untitled(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in VALUE_KEYWORDS:
            yield key, value
        elif key in ("properties", "$defs"):
            yield key, {name: without_titles(item) for name, item in value.items()}
        elif isinstance(value, list):
            yield key, [*map(without_titles, value)]
        else:
            yield key, without_titles(value)
