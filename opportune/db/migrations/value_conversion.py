"""Conversion of values between types of columns without loss, by the rules of PostgreSQL's casts."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import MAX_PREC, Context, Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, JSON, BigInteger, Boolean, Date, DateTime, Integer, Numeric, SmallInteger, String, Uuid
from sqlalchemy import Enum as NativeEnum
from sqlalchemy.types import Float

from opportune.db.models.columns import unwrap_type

BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
"""Boolean literals of PostgreSQL."""
INTEGER = re.compile(r"\s*[+-]?\d+\s*")
DECIMAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
DATE_TEXT = re.compile(r"\d{4}-\d\d-\d\d")
DATETIME_TEXT = re.compile(DATE_TEXT.pattern + r"([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d(:?\d\d)?)?)?")
UUID_TEXT = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
HEX_LENGTH = 32
"""Characters of a UUID on SQLite."""
CONVERSION_ERRORS = (ValueError, TypeError, ArithmeticError, LookupError)
"""Errors of `convert` for a value that cannot be converted without loss."""


class Family(Enum):
    """Column types with the same type of values, by their common base class."""

    TEXT = String
    INTEGER = Integer
    DECIMAL = Numeric
    FLOAT = Float
    BOOLEAN = Boolean
    DATE = Date
    DATETIME = DateTime
    JSON = JSON
    UUID = Uuid


def family_of(type_: Any) -> Family | None:
    """Return the family of a column type. None if its values cannot be converted, such as those of an array."""
    plain = unwrap_type(type_)
    if isinstance(plain, NativeEnum):
        return None
    return next((family for family in Family if isinstance(plain, family.value)), None)


def reflected_family(type_: Any) -> Family | None:
    """Return the family of a type that may be reflected. SQLite keeps a UUID in CHAR(32)."""
    is_hex = isinstance(type_, CHAR) and type_.length == HEX_LENGTH
    return Family.UUID if is_hex else family_of(type_)


def convert(value: Any, type_: Any) -> Any:
    """Convert a value to another column type."""
    family = family_of(type_)
    return value if value is None or family is None else CONVERSIONS[family](value, type_)


def _to_text(value: Any, type_: Any) -> str:
    text = _format(value)
    if type_.length and len(text) > type_.length:
        raise ValueError(text)
    return text


def _format(value: Any) -> str:
    """Return a value as text like PostgreSQL's cast. Times with a zone are in UTC."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            text = value.replace(tzinfo=None).isoformat(" ")
            text = text.rstrip("0") if value.microsecond else text
            return f"{text}+00" if value.tzinfo else text
        case Decimal():
            return format(value, "f")
        case float():
            return str(value).removesuffix(".0")
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def _to_integer(value: Any, type_: Any) -> int:
    number = int(value)
    is_exact = INTEGER.fullmatch(value) if isinstance(value, str) else number == value
    limit = integer_limit(type_)
    if not is_exact or not -limit <= number < limit:
        raise ValueError(value)
    return number


def integer_limit(type_: Any) -> int:
    """Return the smallest number that is too large for an integer type."""
    if isinstance(type_, BigInteger):
        return 1 << 63
    return 1 << (15 if isinstance(type_, SmallInteger) else 31)


def _to_decimal(value: Any, type_: Any) -> Decimal:
    if isinstance(value, str) and not DECIMAL.fullmatch(value):
        raise ValueError(value)
    number = Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value).strip())
    if not number.is_finite():
        raise ValueError(value)
    _, digits, exponent = number.normalize(Context(MAX_PREC)).as_tuple()
    integer_digits = len(digits) + int(exponent)
    decimals = -int(exponent)
    precision = type_.precision
    scale = type_.scale
    if scale is not None and (decimals > scale or (precision is not None and integer_digits > precision - scale)):
        raise ValueError(value)
    return number


def _to_float(value: Any, type_: Any) -> float:
    number = float(exact := _to_decimal(value, type_))
    if Decimal(str(number)) != exact:
        raise ValueError(value)
    return number


def _to_boolean(value: Any, _type: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in BOOLEANS:
        return BOOLEANS[value.strip().lower()]
    if isinstance(value, bool | int | float | Decimal) and value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _to_date(value: Any, _type: Any) -> date:
    if isinstance(value, str) and DATE_TEXT.fullmatch(value):
        return date.fromisoformat(value)
    if isinstance(value, datetime) and value.time() == time():
        return value.date()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(value)


def _to_datetime(value: Any, type_: Any) -> datetime:
    if isinstance(value, str) and DATETIME_TEXT.fullmatch(value):
        value = datetime.fromisoformat(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise TypeError(value)
    utc_time = value if value.tzinfo else value.replace(tzinfo=UTC)
    utc_time = utc_time.astimezone(UTC)
    return utc_time if type_.timezone else utc_time.replace(tzinfo=None)


def _to_json(value: Any, _type: Any) -> Any:
    match value:
        case str():
            return json.loads(value, parse_constant=_refuse_constant)
        case Decimal():
            number = int(value) if value == int(value) else float(value)
            if Decimal(str(number)) != value:
                raise ValueError(value)
            return number
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
    return value


def _refuse_constant(name: str) -> Any:  # such as NaN, which Python reads
    raise ValueError(name)


def _to_uuid(value: Any, _type: Any) -> UUID:
    if isinstance(value, str) and UUID_TEXT.fullmatch(value):
        return UUID(value)
    if isinstance(value, UUID):
        return value
    raise ValueError(value)


CONVERSIONS: dict[Family, Callable[[Any, Any], Any]] = {
    Family.TEXT: _to_text,
    Family.INTEGER: _to_integer,
    Family.DECIMAL: _to_decimal,
    Family.FLOAT: _to_float,
    Family.BOOLEAN: _to_boolean,
    Family.DATE: _to_date,
    Family.DATETIME: _to_datetime,
    Family.JSON: _to_json,
    Family.UUID: _to_uuid,
}
