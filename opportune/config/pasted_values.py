"""Values of settings as users paste them: with quotes and blanks around them, with `Bearer`, or empty."""

import re
from collections.abc import Mapping
from enum import Enum
from io import StringIO
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from dotenv.parser import parse_stream
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

BLANKS = " \t\r\n\f\v\xa0\u200b\ufeff"
"""Blanks of editors and web pages, some of which are invisible."""
KEY_NAME = re.compile(r"_(?:key|token)$", re.IGNORECASE)
BEARER = re.compile(r"(?:authorization:\s*)?bearer\s+", re.IGNORECASE)

V = TypeVar("V")


def clean_quoted_values(values: Mapping[str, V], fields: Mapping[str, FieldInfo]) -> dict[str, V]:
    """Return the values of `clean_values` without blanks and quotes around them.

    `docker run --env-file` and forms of hosts keep the quotes and blanks that `.env` allows.
    """
    return clean_values({name: _unquote(value) for name, value in values.items()}, fields)


def clean_values(values: Mapping[str, V], fields: Mapping[str, FieldInfo]) -> dict[str, V]:
    """Return the values that set something, and keys without `Bearer`. An empty `PORT=` sets nothing."""
    usable = {}
    for name, value in values.items():
        if value != "" or name not in fields or _accepts_empty_text(fields[name]):
            usable[name] = key_without_scheme(value) if KEY_NAME.search(name) else value
    return usable


def _unquote(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip(BLANKS)
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return text
    bindings = list(parse_stream(StringIO(f"NAME={text}")))
    is_quoted = len(bindings) == 1 and not bindings[0].error
    return bindings[0].value if is_quoted else text


def key_without_scheme(value: Any) -> Any:
    """Remove the scheme of an `Authorization` header, which documentation shows before the key."""
    return BEARER.sub("", value.strip(BLANKS), count=1) if isinstance(value, str) else value


def _accepts_empty_text(field: FieldInfo) -> bool:
    """Return whether an empty text is a value of the setting. Settings with `NoDecode` parse their own text."""
    return NoDecode in field.metadata or _is_text(field.annotation)


def _is_text(annotation: Any) -> bool:
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Literal:
        return "" in arguments
    if origin in (Union, UnionType):
        return any(map(_is_text, arguments))
    if not isinstance(annotation, type):
        return annotation is Any
    return issubclass(annotation, (str, SecretStr)) and not issubclass(annotation, Enum)
