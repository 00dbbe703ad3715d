"""Rows for tests, with generated values for unspecified fields."""

import datetime
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from enum import Enum
from functools import cache
from itertools import count, cycle
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID, uuid4

from pydantic import EmailStr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, RelationshipDirection
from sqlmodel import SQLModel

from opportune.accounts.models import User
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.models.columns import foreign_keys_of
from opportune.testing.factories import PASSWORD, hashed

BOUND_NAMES = ("max_length", "ge", "gt", "le", "lt")

M = TypeVar("M", bound=SQLModel)

_numbers = count(1)

_GENERATORS: dict[type, Any] = {bool: bool, bytes: lambda: b"content", dict: dict, list: list, UUID: uuid4}

_INCREASING_GENERATORS: dict[type, Callable[[int], Any]] = {
    datetime.date: lambda position: utc_now().date() + datetime.timedelta(days=position),
    datetime.datetime: lambda position: utc_now() + datetime.timedelta(hours=position),
    datetime.time: lambda position: datetime.time(9 + position % 15),
    datetime.timedelta: lambda position: datetime.timedelta(hours=1 + position),
}
"""Values that increase with the position of the column."""


class Make:
    """Creates rows: `await make(Book, title="Dune")`.

    Required fields without a value get a different valid value each time. A required foreign key gets a new row.
    `author=author` is the same as `author_id=author.id`.
    """

    def __init__(self, target: Database | AsyncSession) -> None:
        """With a database, each call commits. With a session, rows are only flushed."""
        self._target = target

    async def __call__(self, model: type[M], /, **values: Any) -> M:
        """Create a row.

        Args:
            model: The model.
            values: Values of fields and relationships. The others are generated.

        Raises:
            ValidationError: The model refuses a value.
            ValueError: No valid value was found for a field.
        """
        async with self._session() as session:
            return await _create_row(session, model, values)

    async def many(self, model: type[M], number: int, /, **values: Any) -> list[M]:
        """Create several rows with the same values.

        Args:
            model: The model.
            number: Number of rows.
            values: Values of fields and relationships. The others are generated for each row.
        """
        async with self._session() as session:
            return [await _create_row(session, model, values) for _ in range(number)]

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        if isinstance(self._target, AsyncSession):
            yield self._target
        else:
            async with self._target.writer() as session:
                yield session


async def _create_row(session: AsyncSession, model: type[M], arguments: Mapping[str, Any]) -> M:
    mapper: Mapper[M] = inspect(model)
    related_rows = {name: value for name, value in arguments.items() if name in mapper.relationships}
    values = {name: value for name, value in arguments.items() if name not in related_rows}
    await _set_foreign_keys(session, mapper, related_rows, values)
    # Not a dict, whose `items` SQLModel would use for a relationship of that name.
    password = {"hashed_password": hashed(PASSWORD)} if issubclass(model, User) else {}
    missing = {name: info for name, info in model.model_fields.items() if info.is_required() and name not in values}
    generated = {name: value_for(model, name, info) for name, info in missing.items()}
    data = SimpleNamespace(**{**password, **generated, **values})
    row = model.model_validate(data, from_attributes=True)
    for name, value in related_rows.items():
        setattr(row, name, value)
    session.add(row)
    await session.flush()
    return row


async def _set_foreign_keys(
    session: AsyncSession, mapper: Mapper[Any], related_rows: dict[str, Any], values: dict[str, Any]
) -> None:
    """Set the foreign keys to related rows in `values`, and create a row for each required key without one."""
    fields = mapper.class_.model_fields
    for name, relationship in mapper.relationships.items():
        if relationship.direction is not RelationshipDirection.MANYTOONE:
            continue
        keys = [mapper.get_property_by_column(column).key for column in relationship.local_columns]
        needs_row = any(key not in values and fields[key].is_required() for key in keys)
        if needs_row and name not in related_rows:
            related_rows[name] = await _create_row(session, relationship.mapper.class_, {})
        if name in related_rows:
            row = related_rows[name]
            values |= dict.fromkeys(keys, row.id if row else None)
    for name, target in foreign_keys_of(mapper).items():
        if name not in values and fields[name].is_required():
            values[name] = (await _create_row(session, target, {})).id


def value_for(
    model: type[SQLModel], name: str, info: FieldInfo, number: int | None = None, preferred: Sequence[Any] = ()
) -> Any:
    """Return a value that the field accepts. Dates, times and durations increase with the position of the column.

    Raises:
        ValueError: The field refuses all generated values.
    """
    reason = "its type is not supported"
    number = next(_numbers) if number is None else number
    candidates = _candidate_values(name, info.annotation, _bounds(info), number, position_of(model, name))
    defaults = () if info.is_required() else (info.get_default(call_default_factory=True, validated_data={}),)
    for value in (*preferred, *candidates, *defaults):
        try:
            return _type_adapter(model, name).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
    raise ValueError(f"No value could be generated for {model.__name__}.{name} ({reason}). Pass one.")


def position_of(model: type[SQLModel], name: str) -> int:
    """Return the number of required fields of the same type before a field, so that an end can be after its start."""
    annotation = model.model_fields[name].annotation
    fields = model.model_fields.items()
    same_type = [key for key, info in fields if info.is_required() and info.annotation == annotation]
    return same_type.index(name) if name in same_type else 0


@cache
def _type_adapter(model: type[SQLModel], name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    type_: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return TypeAdapter(type_)


def _bounds(info: FieldInfo) -> dict[str, Any]:
    """Return the limits in the metadata of a field, such as `max_length` and `ge`."""
    limits = {name: getattr(item, name, None) for item in info.metadata for name in BOUND_NAMES if hasattr(item, name)}
    return {name: value for name, value in limits.items() if value is not None}


def _candidate_values(name: str, type_: Any, bounds: Mapping[str, Any], number: int, position: int) -> Iterator[Any]:
    """Return values of a type, those that the field probably accepts first."""
    while get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    origin = get_origin(type_)
    if origin is Literal:
        yield from get_args(type_)
    elif origin in (Union, UnionType):
        for part in sorted(get_args(type_), key=lambda part: part is not NoneType):
            yield from _candidate_values(name, part, bounds, number, position)
    elif isinstance(type_, type) and issubclass(type_, Enum):
        yield from type_
    elif type_ in (str, EmailStr):
        yield from _candidate_texts(name, bounds.get("max_length"), number)
    elif type_ in (int, float, Decimal):
        yield from map(type_, _candidate_numbers(bounds, number))
    else:
        if (origin or type_) in _GENERATORS:
            yield _GENERATORS[origin or type_]()
        if type_ in _INCREASING_GENERATORS:
            yield _INCREASING_GENERATORS[type_](position)


def _candidate_texts(name: str, max_length: int | None, number: int) -> Iterator[str]:
    texts = {
        "text": f"{name.replace('_', ' ').capitalize()} {number}",
        "slug": f"{name.replace('_', '-')}-{number}",
        "email": f"{name}{number}@example.com",
        "url": f"https://example.com/{name}/{number}",
        "phone": f"+4930{number:07}",
        "country": "DE",
        "isbn": _isbn(number),
    }
    likely = [text for word, text in texts.items() if word in name]
    for text in (*likely, *texts.values(), str(number)):
        yield text[-max_length:].strip() if max_length else text


def _isbn(number: int) -> str:
    digits = f"978{number:09}"
    check_sum = sum(int(digit) * weight for digit, weight in zip(digits, cycle((1, 3)), strict=False))
    return f"{digits}{-check_sum % 10}"


def _candidate_numbers(bounds: Mapping[str, Any], number: int) -> Iterator[Any]:
    yield number
    for name, step in (("ge", 0), ("le", 0), ("gt", 1), ("lt", -1)):
        if name in bounds:
            yield bounds[name] + step
    yield 1
