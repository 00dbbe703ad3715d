"""What goes with a row that is deleted, named as far as whoever asks may see it."""

from typing import Any

from sqlalchemy import ColumnElement, inspect, select
from sqlalchemy.orm import Mapper

from opportune.crud.crud import Crud, cruds
from opportune.crud.display import names_of
from opportune.db.columns import label_of
from opportune.db.deletion_impact import AffectedRows, DeletionImpact, find_deletion_impact

MAX_NAMED_ROWS = 5
"""Rows of each kind that are named."""


async def deletion_impact(crud: Crud[Any], row: Any) -> DeletionImpact:
    """What the database will do to other rows when this one is deleted. Rows without a data layer are only counted."""
    mapper: Mapper[Any] = inspect(crud.model)

    async def naming(model: type[Any], condition: ColumnElement[bool], count: int) -> AffectedRows:
        if _is_link(mapper, model.__table__):
            return AffectedRows("", count, [])
        label = label_of(cruds[model].__name__ if model in cruds and count != 1 else model.__name__).lower()
        if model not in cruds:
            return AffectedRows(label, count, [])
        rows = await crud.session.scalars(select(model).where(condition, crud.visible(model)).limit(MAX_NAMED_ROWS))
        return AffectedRows(label, count, await names_of(crud.session, rows.all()))

    found = await find_deletion_impact(crud.session, mapper, crud.model.id == row.id, naming)
    found.gone = [part for part in found.gone if part.label]
    return found


def _is_link(mapper: Mapper[Any], table: Any) -> bool:
    """Whether a table only says what is linked with what."""
    return any(relation.secondary is table for other in mapper.registry.mappers for relation in other.relationships)
