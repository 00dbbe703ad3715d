"""Unique values that a row in the trash holds."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.constraint_errors import VALUE_IN_USE
from opportune.db.models.soft_delete import SoftDelete
from opportune.db.sessions.trash import with_deleted
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l

HELD_BY_TRASH = _l("A deleted entry has this value. Restore it or delete it permanently in the trash.")


async def explain_trash_conflict(
    session: AsyncSession, model: type[Any], error: FieldErrors, values: Mapping[str, Any]
) -> FieldErrors:
    """Return the error with a message for unique values that a row in the trash holds.

    Args:
        session: Session that can run a query.
        model: Model of the row that could not be stored.
        error: Error with a message by column.
        values: Values of that row by column.
    """
    names = [name for name, message in error.errors.items() if message == VALUE_IN_USE]
    if not names or not issubclass(model, SoftDelete) or not values.keys() >= {*names}:
        return error
    matches = [getattr(model, name) == values[name] for name in names]
    holder = select(model).where(col(model.deleted_at).is_not(None), *matches).limit(1)
    if await session.scalar(with_deleted(holder)) is None:
        return error
    return FieldErrors({**error.errors, **dict.fromkeys(names, HELD_BY_TRASH)})
