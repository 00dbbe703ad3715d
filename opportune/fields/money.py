"""Money fields: exact decimals in one currency per field."""

import re
from decimal import Decimal
from typing import Annotated, Any

import sqlmodel
from pydantic import Field
from pydantic.fields import FieldInfo
from sqlalchemy import Numeric

from opportune.errors import OperatorError
from opportune.schemas.annotations import FieldOptions, Stored, annotations_of

# SQLite stores decimals as floating point numbers, which are exact for 15 digits.
MAX_DIGITS, DECIMAL_PLACES = 14, 2
CURRENCY = re.compile("[A-Z]{3}")

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
    field: Any = sqlmodel.Field(**({} if default is ... else {"default": default}), **options)
    field.metadata.extend((Currency(currency), FieldOptions(suffix=currency)))
    return field


def currency_of(info: FieldInfo) -> str:
    """Return the currency code of a field, or an empty string."""
    return next(iter(annotations_of(info, Currency)), "")
