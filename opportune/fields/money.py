"""Amounts of money: exact, in one currency per field."""

import re
from decimal import Decimal
from typing import Annotated, Any

import sqlmodel
from pydantic import Field
from pydantic.fields import FieldInfo
from sqlalchemy import Numeric

from opportune.errors import OperatorError
from opportune.schemas.annotations import FieldOptions, Stored, marks_of

# A floating point number, in which SQLite keeps it, has 15 digits that are sure.
MAX_DIGITS, DECIMAL_PLACES = 14, 2
CURRENCY = re.compile("[A-Z]{3}")

Money = Annotated[
    Decimal,
    Field(max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES),
    Stored(Numeric(MAX_DIGITS, DECIMAL_PLACES)),
    FieldOptions(step="0.01", inputmode="decimal"),
]
"""An amount with two digits after the point; in JSON it is a text, so that nobody rounds it."""


class Currency(str):
    """Which one a field is in, by its ISO code."""

    __slots__ = ()


def money_field(currency: str, default: Any = ..., **options: Any) -> Any:
    """A `Money` in one currency, such as `price: Money = money_field("EUR", ge=0)`; the options are those of `Field`.

    Raises:
        OperatorError: the currency is no code of three capital letters.
    """
    if not CURRENCY.fullmatch(currency):
        raise OperatorError(f"money_field({currency!r}): give the currency's code of three letters, such as EUR.")
    field: Any = sqlmodel.Field(**({} if default is ... else {"default": default}), **options)
    field.metadata.extend((Currency(currency), FieldOptions(suffix=currency)))
    return field


def currency_of(info: FieldInfo) -> str:
    """The code of a field's currency; empty if it has none."""
    return next(iter(marks_of(info, Currency)), "")
