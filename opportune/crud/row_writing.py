"""Steps of writing a row: validated values, related rows, and error messages by field."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.crud.declaration import Shape
from opportune.crud.options import Values
from opportune.db.constraint_errors import ENTRY_MISSING, explain_trash_conflict, translate_database_errors
from opportune.errors import FieldErrors
from opportune.web.forms.error_messages import messages_by_field


def validate(schema: type[BaseModel], values: Values) -> BaseModel:
    """Return the values as an instance of a schema. Raises FieldErrors."""
    if isinstance(values, schema):
        return values
    if isinstance(values, BaseModel):
        values = {name: getattr(values, name) for name in values.model_fields_set}
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise FieldErrors(messages_by_field(error)) from error


async def find_linked_rows(
    session: AsyncSession,
    shape: Shape,
    values: Mapping[str, Any],
    previous: Mapping[str, Any],
    choosable: Callable[[type[Any]], ColumnElement[bool]],
) -> dict[str, Any]:
    """Return the rows to link, and check that the user may choose all referenced rows.

    Args:
        session: Session of the change.
        shape: The model.
        values: Values to write.
        previous: Stored values, which may stay.
        choosable: Function that returns the condition for rows of a model that the user may choose.

    Raises:
        FieldErrors: The user may not choose one of the rows, or it does not exist.
    """

    async def find(model: type[Any], ids: Collection[Any]) -> list[Any]:
        if not ids:
            return []
        key: Any = model.id
        return list(await session.scalars(select(model).where(key.in_(ids), choosable(model)).order_by(key)))

    errors = set()
    for name, target in shape.references.items():
        ids = {values.get(name)} - {None, previous.get(name)}
        if ids and not await find(target, ids):
            errors.add(name)
    linked: dict[str, Any] = {}
    for name in shape.links.keys() & values.keys():
        ids = set(values[name])
        linked[name] = await find(shape.links[name], ids)
        if len(linked[name]) < len(ids):
            errors.add(name)
    if errors:
        raise FieldErrors(dict.fromkeys(errors, ENTRY_MISSING))
    return linked


@asynccontextmanager
async def writes_row(
    session: AsyncSession, model: type[Any], values: Mapping[str, Any] | None = None, *, in_transaction: bool
) -> AsyncIterator[None]:
    """Turn constraint violations into FieldErrors, and roll back the statement.

    Args:
        session: Session of the change.
        model: Model of the row.
        values: Values to write, which rows in the trash may hold. None if the row is deleted.
        in_transaction: Whether the caller had already begun a transaction, so that a savepoint is needed.
    """
    try:
        with translate_database_errors(model.__table__, deleting=values is None):
            if in_transaction:
                async with session.begin_nested():
                    yield
            else:
                try:
                    yield
                except Exception:
                    await session.rollback()
                    raise
    except FieldErrors as error:
        raise await explain_trash_conflict(session, model, error, values or {}) from error
