"""Cached values as JSON, with marks for types that JSON lacks. Nothing is pickled, because unpickling runs code."""

import json
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from markupsafe import Markup
from pydantic import BaseModel

MARK = "$"
"""Key of an object that stands for a value of another type: `{"$": "date", "value": "2026-11-27"}`."""
PLAIN = {str, int, float, bool, type(None)}
MICROSECOND = timedelta(microseconds=1)
CODECS: dict[type[Any], tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    bytes: (bytes.hex, bytes.fromhex),
    date: (str, date.fromisoformat),
    datetime: (str, datetime.fromisoformat),
    time: (str, time.fromisoformat),
    timedelta: (lambda value: value // MICROSECOND, lambda count: count * MICROSECOND),
    Decimal: (str, Decimal),
    UUID: (str, UUID),
    Markup: (str, Markup),
    dict: (lambda value: [[_encode_key(key), _encode(item)] for key, item in value.items()], dict),
    tuple: (lambda value: [*map(_encode, value)], tuple),
    set: (lambda value: [*map(_encode_key, value)], set),
    frozenset: (lambda value: [*map(_encode_key, value)], frozenset),
}
"""Functions that encode and decode the value of a mark."""
DECODERS = {type_.__name__: decode for type_, (_, decode) in CODECS.items()}
SUPPORTED = "texts, numbers, dates, times, Decimals, UUIDs, bytes, lists, tuples, sets, dicts, and models as dicts"


def dumps(value: Any) -> bytes:
    """Return a value as JSON.

    Raises:
        TypeError: A part has a type the cache does not store, is nested too deeply, or is a number with too many
            digits.
    """
    try:
        return ENCODER.encode(_encode(value)).encode()
    except RecursionError:
        raise TypeError("The cache does not store values that contain themselves or are nested too deeply.") from None
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        raise TypeError("The cache does not store numbers of thousands of digits.") from None


def loads(text: bytes) -> Any:
    """Return the value of `dumps`.

    Raises:
        ValueError: The text has another format.
    """
    try:
        return DECODER.decode(text.decode())
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError("not a cached value") from error


def _encode(value: Any) -> Any:
    type_ = type(value)
    if type_ in PLAIN:
        return value
    if type_ is list:
        return [*map(_encode, value)]
    if type_ is dict and MARK not in value and all(type(key) is str for key in value):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, BaseModel):
        return _encode(_dump(value))
    if isinstance(value, Enum) and isinstance(value, str | int):
        return value.value  # equals the member
    if type_ not in CODECS:
        raise TypeError(f"The cache does not store {type_.__module__}.{type_.__qualname__}. It stores {SUPPORTED}.")
    return {MARK: type_.__name__, "value": CODECS[type_][0](value)}


def _encode_key(value: Any) -> Any:
    """Encode a key of a dict or an item of a set."""
    if isinstance(value, BaseModel):
        raise TypeError(f"The cache does not store {type(value).__qualname__} in sets or as keys, only as dicts.")
    return {MARK: "tuple", "value": [*map(_encode_key, value)]} if type(value) is tuple else _encode(value)


def _dump(model: BaseModel) -> Any:
    try:
        return model.model_dump()
    except ValueError as error:  # of a serializer of the model
        raise TypeError(f"The cache does not store {type(model).__qualname__}: its serialization fails.") from error


def _decode(value: dict[str, Any]) -> Any:
    return DECODERS[value[MARK]](value["value"]) if MARK in value else value


ENCODER = json.JSONEncoder(separators=(",", ":"))
DECODER = json.JSONDecoder(object_hook=_decode)
