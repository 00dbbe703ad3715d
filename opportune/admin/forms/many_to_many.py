"""Many-to-many relationships (`Relationship(link_model=…)`) in forms: looked up while somebody types."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from starlette.requests import Request

from opportune.admin.forms.foreign_keys import ForeignKeyLookup
from opportune.db.columns import title_of


class ManyToManyLookup(ForeignKeyLookup):
    """The rows that a row can be linked with."""

    is_many = True

    async def linked(self, row: Any) -> list[Any]:
        """Those that it is linked with."""
        relation, view = getattr(self.model_admin.model, self.name), self.model_admin
        mine = view.pk_columns[0] == row.id
        there: Any = aliased(self.model)  # it may be the same table
        joined = select(there).select_from(view.model).join(relation.of_type(there))
        rows = await view.fetch_rows(joined.where(mine))
        return sorted(rows, key=title_of)


async def link_rows(
    session: AsyncSession,
    request: Request,
    lookups: Mapping[str, ManyToManyLookup],
    row: Any,
    chosen: Mapping[str, Sequence[int]],
) -> dict[str, Any]:
    """Make these the rows that `row` is linked with, and tell the log of it by names before and after.

    All of its relationships are loaded then: who asks for one that is not, in a hook, would crash.

    Raises:
        ValidationRefused: one of those that are new is not there for whoever asks.
    """
    changes = {}
    for name, lookup in lookups.items():
        if inspect(row).persistent and name in inspect(row).unloaded:
            await session.refresh(row, [name])
        linked = {other.id: other for other in getattr(row, name)}
        ids = chosen.get(name, list(linked))
        new = await lookup.allowed(session, request, [key for key in ids if key not in linked])
        after = [linked[key] for key in ids if key in linked] + new
        if new or len(after) < len(linked):
            changes[name] = [sorted(map(title_of, rows)) for rows in (linked.values(), after)]
        setattr(row, name, after)
    return changes
