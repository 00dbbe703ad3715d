"""Types of column values in schemas and filters."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import AfterValidator, Field, FiniteFloat
from pydantic.fields import FieldInfo
from sqlalchemy import BigInteger, Column

from opportune.db.models.columns import type_of
from opportune.db.models.model import MAX_ID
from opportune.i18n import gettext
from opportune.schemas.text import storable

MAX_INTEGER = 2**31 - 1
"""Maximum of a column of type Integer."""

SmallInteger = Annotated[int, Field(ge=-MAX_INTEGER - 1, le=MAX_INTEGER)]
LargeInteger = Annotated[int, Field(ge=-MAX_ID - 1, le=MAX_ID)]
StorableText = Annotated[str, AfterValidator(storable)]
Number = Annotated[Decimal, Field(max_digits=40)]


def in_utc(moment: datetime) -> datetime:
    """Return a time in UTC. A time without a zone is assumed to be in UTC.

    Raises:
        ValueError: The time is before the year 1 or after 9999 in UTC.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(gettext("must be between the years 1 and 9999 in UTC")) from None


Moment = Annotated[datetime, AfterValidator(in_utc)]

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


def strip_none(annotation: Any) -> Any:
    """Return the type without None."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    types = [type_ for type_ in get_args(annotation) if type_ is not NoneType]
    return types[0] if len(types) == 1 else Union[tuple(types)]  # noqa: UP007 - derived at run time


def plain_type(annotation: Any) -> Any:
    """Return the type without None and annotations."""
    type_ = strip_none(annotation)
    while get_origin(type_) is Annotated:
        type_ = strip_none(get_args(type_)[0])
    return type_


def comparable_type(annotation: Any) -> Any:
    """Return the type of values that a column can be compared with, or None."""
    type_ = plain_type(annotation)
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
    if not isinstance(type_, type) or issubclass(type_, bool | Enum):
        return
    if issubclass(type_, int):
        maximum = MAX_ID if isinstance(type_of(column), BigInteger) or column.foreign_keys else MAX_INTEGER
        yield from _range_of(info, -maximum - 1, maximum)
    elif issubclass(type_, float):
        yield Field(allow_inf_nan=False)
    elif issubclass(type_, str) and not any(getattr(item, "func", None) is storable for item in info.metadata):
        yield AfterValidator(_storable_text)
    elif issubclass(type_, datetime) and getattr(type_of(column), "timezone", True):
        yield AfterValidator(_in_utc_or_none)


def _range_of(info: FieldInfo, minimum: int, maximum: int) -> Iterable[Any]:
    """Yield the limits of the column that the field lacks. If a field had two, Pydantic would only check the last."""
    if not any(getattr(item, name, None) is not None for item in info.metadata for name in ("ge", "gt")):
        yield Field(ge=minimum)
    if not any(getattr(item, name, None) is not None for item in info.metadata for name in ("le", "lt")):
        yield Field(le=maximum)


def _storable_text(value: Any) -> Any:
    """Check texts only. Other values are None or uploads, whose stored name is set later."""
    return storable(value) if isinstance(value, str) else value


def _in_utc_or_none(value: datetime | None) -> datetime | None:
    return None if value is None else in_utc(value)
