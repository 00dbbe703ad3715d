"""Fields for Markdown, texts in each language, lists of text, JSON, and exact decimals in one currency."""

import json
import re
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import sqlmodel
from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo
from sqlalchemy import JSON, Numeric

from opportune.db.models.translated import TranslatedColumn
from opportune.db.models.translation import Translation
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.annotations import FieldOptions, Stored, annotations_of
from opportune.schemas.text import Line, Text

T = TypeVar("T", bound=str)

# SQLite stores decimals as floating point numbers, which are exact for 15 digits.
MAX_DIGITS, DECIMAL_PLACES = 14, 2
CURRENCY = re.compile("[A-Z]{3}")
INVALID_JSON = _l('please write this as JSON, such as {"colour": "red"}')


def _split_lines(value: object) -> object:
    """Split the text of a form into lines."""
    if not isinstance(value, str):
        return value
    return [line for line in map(str.strip, value.splitlines()) if line]


def _parse_json(value: object) -> object:
    """Parse the text of a form."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict | list):
        raise ValueError(INVALID_JSON)
    return parsed


ListOf = Annotated[list[T], BeforeValidator(_split_lines), Field(max_length=1000), FieldOptions(type="lines", rows=4)]
"""List of texts of a type. In forms, each item is a line."""
TextList = ListOf[Line]

Json = Annotated[
    dict[str, Any] | list[Any],
    BeforeValidator(_parse_json),
    Stored(JSON(none_as_null=True)),
    FieldOptions(type="json", rows=6),
]
"""JSON object or array."""

Markdown = Annotated[Text, FieldOptions(type="markdown", rows=8)]
"""Markdown text with a preview in forms. Render it with `{{ book.description | markdown }}`."""


Translated = Annotated[T, Translation(), Stored(TranslatedColumn())]
"""Text in each language of the site: `title: Translated[Line]`. Type checkers see a `str`."""

Money = Annotated[
    Decimal,
    Field(max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES),
    Stored(Numeric(MAX_DIGITS, DECIMAL_PLACES)),
    FieldOptions(step="0.01", inputmode="decimal"),
]
"""Amount with two decimal places. It is a string in JSON, so that clients do not round it."""


class Currency(str):
    """ISO code of a field's currency."""

    __slots__ = ()


def money_field(currency: str, default: Any = ..., **options: Any) -> Any:
    """Return a field for `Money`: `price: Money = money_field("EUR", ge=0)`.

    Args:
        currency: ISO code of three capital letters.
        default: Default value. Without it, the field is required.
        options: Options of `Field`.

    Raises:
        OperatorError: The currency is not a code of three capital letters.
    """
    if not CURRENCY.fullmatch(currency):
        raise OperatorError(f"money_field({currency!r}): use a currency code of three letters, such as EUR.")
    field: Any = sqlmodel.Field(default, **options)
    field.metadata.extend((Currency(currency), FieldOptions(suffix=currency)))
    return field


def currency_of(info: FieldInfo) -> str:
    """Return the currency code of a field, or an empty string."""
    return next(iter(annotations_of(info, Currency)), "")
