"""Rows of many-to-many relationships (`Relationship(link_model=…)`) in forms."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from starlette.requests import Request

from opportune.admin.forms.foreign_keys import ForeignKeyLookup
from opportune.db.models.columns import title_of


class ManyToManyLookup(ForeignKeyLookup):
    """The rows that a row can be linked with."""

    is_many = True

    async def linked_rows(self, row: Any) -> list[Any]:
        """Return the rows that a row is linked with, by title."""
        relation, view = getattr(self.model_admin.model, self.name), self.model_admin
        has_id = view.pk_columns[0] == row.id
        related: Any = aliased(self.model)  # a model may be linked with itself
        joined = select(related).select_from(view.model).join(relation.of_type(related))
        rows = await view.fetch_rows(joined.where(has_id))
        return sorted(rows, key=title_of)


async def link_rows(
    session: AsyncSession,
    request: Request,
    lookups: Mapping[str, ManyToManyLookup],
    row: Any,
    selected: Mapping[str, Sequence[int]],
) -> dict[str, Any]:
    """Link a row with the selected rows. Return the titles before and after for the log.

    All relationships are loaded, because hooks that read one that is not loaded would fail.

    Raises:
        ValidationRefused: The user may not link one of the rows, or it does not exist.
    """
    changes = {}
    for name, lookup in lookups.items():
        if inspect(row).persistent and name in inspect(row).unloaded:
            await session.refresh(row, [name])
        old_rows = {other.id: other for other in getattr(row, name)}
        ids = selected.get(name, list(old_rows))
        added = await lookup.allowed_rows(session, request, [key for key in ids if key not in old_rows])
        new_rows = [old_rows[key] for key in ids if key in old_rows] + added
        if added or len(new_rows) < len(old_rows):
            changes[name] = [sorted(map(title_of, rows)) for rows in (old_rows.values(), new_rows)]
        setattr(row, name, new_rows)
    return changes
