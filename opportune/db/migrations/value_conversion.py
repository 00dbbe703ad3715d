"""Conversion of values between types of columns without loss, by the rules of pydantic."""

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, TypeAdapter
from sqlalchemy import CHAR, JSON, BigInteger, Boolean, Date, DateTime, Integer, Numeric, SmallInteger, String, Uuid
from sqlalchemy import Enum as NativeEnum
from sqlalchemy.types import TypeDecorator

HEX_LENGTH = 32
"""Characters of a UUID on SQLite."""
CONVERSION_ERRORS = (ValueError, TypeError, ArithmeticError)
"""Errors of `convert` for a value that cannot be converted without loss."""


class Family(Enum):
    """Column types with the same type of values, by their common base class."""

    TEXT = String
    INTEGER = Integer
    DECIMAL = Numeric
    BOOLEAN = Boolean
    DATE = Date
    DATETIME = DateTime
    JSON = JSON
    UUID = Uuid


def family_of(type_: Any) -> Family | None:
    """Return the family of a column type. None if its values cannot be converted, such as those of an array."""
    plain = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    if isinstance(plain, NativeEnum):
        return None
    return next((family for family in Family if isinstance(plain, family.value)), None)


def reflected_family(type_: Any) -> Family | None:
    """Return the family of a type that may be reflected. SQLite keeps a UUID in CHAR(32)."""
    is_hex = isinstance(type_, CHAR) and type_.length == HEX_LENGTH
    return Family.UUID if is_hex else family_of(type_)


def convert(value: Any, type_: Any) -> Any:
    """Convert a value to another column type.

    Raises:
        ValueError: The value cannot be converted without loss. Also TypeError or ArithmeticError.
    """
    family = family_of(type_)
    if value is None or family is None:
        return value
    if family is Family.JSON:
        return _to_json(value)
    if family in (Family.DATE, Family.DATETIME):
        return _to_time(value, type_, is_date=family is Family.DATE)
    if family is Family.TEXT:
        value = _format(value)
    elif family is Family.DECIMAL and isinstance(value, bool):
        value = int(value)
    return _adapter(type_).validate_python(value)


@lru_cache(maxsize=1)  # all values of a column have one type
def _adapter(type_: Any) -> TypeAdapter[Any]:
    """Return pydantic's validator of a text, an integer, a decimal number, a boolean or a UUID."""
    match family_of(type_):
        case Family.TEXT:
            return TypeAdapter(Annotated[str, Field(max_length=type_.length)])
        case Family.INTEGER:
            limit = 2 ** _integer_bits(type_)
            return TypeAdapter(Annotated[int, Field(ge=-limit, lt=limit)])
        case Family.DECIMAL:
            precision = None if type_.scale is None else type_.precision
            return TypeAdapter(Annotated[Decimal, Field(max_digits=precision, decimal_places=type_.scale)])
        case Family.BOOLEAN:
            return TypeAdapter(bool)
    return TypeAdapter(UUID)


def _integer_bits(type_: Any) -> int:
    """Return the bits of an integer column without the sign."""
    if isinstance(type_, SmallInteger):
        return 15
    return 63 if isinstance(type_, BigInteger) else 31


def _to_time(value: Any, type_: Any, *, is_date: bool) -> date:
    """Return a date, or a datetime. Texts have ISO format, and times without a zone are in UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not is_date:
        return moment if type_.timezone else moment.replace(tzinfo=None)
    if moment.time() != time():
        raise ValueError(value)
    return moment.date()


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
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return str(value)


def _to_json(value: Any) -> Any:
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
