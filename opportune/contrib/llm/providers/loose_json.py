"""Values in the JSON of endpoints, read with whatever type they have."""

import json
from contextlib import suppress
from typing import Any

MAX_DEPTH = 5
"""Levels of objects and lists around a text."""
TEXT_FIELDS = ("text", "content", "summary", "thinking", "transcript", "refusal", "value")
"""Fields of a part of an answer, of which one has its text."""
DECODER = json.JSONDecoder(strict=False)
"""Slower than pydantic_core, but accepts line breaks in texts, halves of surrogate pairs, and several values."""


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def objects_in(value: object) -> list[dict[str, Any]]:
    """Return the objects in a list, also in one that was sent as an object, or an object without its list."""
    if isinstance(value, dict):
        is_list = value and all(key.isdecimal() for key in value)  # a list by index
        value = [*value.values()] if is_list else [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_in(value: object, depth: int = MAX_DEPTH) -> str:
    """Return the text in a text, a number, an object with a text, or a list of these."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth:
        return "".join(text_in(item, depth - 1) for item in value)
    if isinstance(value, dict) and depth:
        return next(filter(None, (text_in(value.get(name), depth - 1) for name in TEXT_FIELDS)), "")
    return str(value) if is_number(value) else ""


def key_in(value: object) -> str:
    """Return an index or id as text; empty for another value."""
    return str(value) if (isinstance(value, str) and value not in ("null", "None")) or is_number(value) else ""


def count_in(value: object) -> int | None:
    """Return a number of tokens, also of one sent as text; None for other values."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def json_in(content: bytes | str) -> Any:
    """Return the value of a JSON text; None for other content, also if it is nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def is_object(text: str) -> bool:
    """Return True for the JSON of an object."""
    text = text.strip()
    return text[:1] == "{" and text[-1:] == "}" and isinstance(json_in(text), dict)


def json_objects_in(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a text. Some endpoints send no line break between events."""
    objects, end = list[dict[str, Any]](), 0
    with suppress(ValueError, RecursionError):
        while (start := text.find("{", end)) >= 0:
            value, end = DECODER.raw_decode(text, start)
            objects.append(value)
    return objects
