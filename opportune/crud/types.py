"""Types of column values in schemas and filters."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from functools import partial
from typing import Annotated, Any, Literal, get_origin
from uuid import UUID

from pydantic import AfterValidator, Field, FiniteFloat
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError
from sqlalchemy import BigInteger, Column, SmallInteger

from opportune.crud.flags import combinable
from opportune.db.models.columns import is_json, type_of
from opportune.db.models.row_ids import MAX_ID
from opportune.schemas.annotations import plain_type
from opportune.schemas.text import require_storable, require_storable_json
from opportune.web.time_zone import in_utc

MAX_INTEGER = 2**31 - 1
"""Maximum of a column of type Integer."""

MAX_SMALL_INTEGER = 2**15 - 1

MAX_DURATION = timedelta(days=719_162)
"""Maximum on SQLite, which stores a duration as a moment: its distance from 1970, in the years from 1 on."""

LargeInteger = Annotated[int, Field(ge=-MAX_ID - 1, le=MAX_ID)]
StorableText = Annotated[str, AfterValidator(require_storable)]
Number = Annotated[Decimal, Field(max_digits=40)]


def _in_utc(moment: datetime | None) -> datetime | None:
    """Return a time in UTC. A time without a zone is assumed to be in UTC."""
    if moment is None:
        return None
    return in_utc(moment) if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]

ORDERED_TYPES = (int, float, Decimal, date, datetime, time)
COMPARABLE_TYPES: dict[Any, Any] = {
    bool: bool,
    int: LargeInteger,
    float: FiniteFloat,
    Decimal: Number,
    str: StorableText,
    date: date,
    datetime: Moment,
    time: time,
    UUID: UUID,
}


def comparable_type(annotation: Any) -> Any:
    """Return the type of values that a column can be compared with, or None."""
    type_ = plain_type(annotation)
    if isinstance(type_, type) and issubclass(type_, Flag):
        return combinable(type_)
    if get_origin(type_) is Literal or (isinstance(type_, type) and issubclass(type_, Enum)):
        return type_
    bases = type_.__mro__ if isinstance(type_, type) else ()
    return next((COMPARABLE_TYPES[base] for base in bases if base in COMPARABLE_TYPES), None)


def is_ordered(annotation: Any) -> bool:
    type_ = plain_type(annotation)
    return isinstance(type_, type) and issubclass(type_, ORDERED_TYPES) and not issubclass(type_, bool | Enum)


def missing_limits(column: Column[Any], info: FieldInfo) -> Iterable[Any]:
    """Yield the constraints of a column that its field does not declare, such as the range of a 32-bit integer."""
    type_ = plain_type(info.annotation)
    if is_json(column):
        yield AfterValidator(require_storable_json)
    if not isinstance(type_, type) or issubclass(type_, bool | Enum):
        return
    if issubclass(type_, str):
        yield from _limits_of_text(info, column)
    elif issubclass(type_, int):
        maximum = MAX_SMALL_INTEGER if isinstance(type_of(column), SmallInteger) else MAX_INTEGER
        if isinstance(type_of(column), BigInteger) or column.foreign_keys:
            maximum = MAX_ID
        yield from _range_of(info, -maximum - 1, maximum)
    elif issubclass(type_, timedelta):
        yield from _range_of(info, -MAX_DURATION, MAX_DURATION)
    elif issubclass(type_, float):
        yield Field(allow_inf_nan=False)
    elif issubclass(type_, Decimal):
        yield from _digits_of(info, type_of(column))
    elif issubclass(type_, datetime) and getattr(type_of(column), "timezone", True):
        yield AfterValidator(_in_utc)


def _limits_of_text(info: FieldInfo, column: Column[Any]) -> Iterable[Any]:
    length = None if _has_limit(info, "max_length") else getattr(type_of(column), "length", None)
    is_checked = any(getattr(item, "func", None) is require_storable for item in info.metadata)
    if length or not is_checked:
        yield AfterValidator(partial(_storable_text, length))


def _range_of(info: FieldInfo, minimum: Any, maximum: Any) -> Iterable[Any]:
    """Yield the limits of the column that the field lacks. If a field had two, Pydantic would only check the last."""
    if not _has_limit(info, "ge", "gt"):
        yield Field(ge=minimum)
    if not _has_limit(info, "le", "lt"):
        yield Field(le=maximum)


def _digits_of(info: FieldInfo, column_type: Any) -> Iterable[Any]:
    """Yield the digits that a column stores. PostgreSQL would round others or refuse the number."""
    for name, attribute in (("max_digits", "precision"), ("decimal_places", "scale")):
        limit = getattr(column_type, attribute, None)
        if limit is not None and not _has_limit(info, name):
            yield Field(**{name: limit})


def _has_limit(info: FieldInfo, *names: str) -> bool:
    return any(getattr(item, name, None) is not None for item in info.metadata for name in names)


def _storable_text(max_length: int | None, value: Any) -> Any:
    """Check texts only. Other values are None or uploads, whose stored name is set later.

    Raises:
        PydanticKnownError: The text is too long for its column.
    """
    if isinstance(value, str) and max_length and len(value) > max_length:
        raise PydanticKnownError("string_too_long", {"max_length": max_length})
    return require_storable(value) if isinstance(value, str) else value
