"""Deleting rows: what goes with them is shown first, counted and never loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Table, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, RelationshipDirection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_list
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.actions import (
    Selection,
    confirmation_page,
    list_url,
    primary_key_in,
    read_selection,
    redirect_with_error,
    selected_rows,
)
from opportune.admin.protocols import View
from opportune.db.columns import title_of
from opportune.web.rendering.flash import flash

MAX_CASCADE_DEPTH = 4
"""Levels of what goes along with what goes along."""
MAX_NAMED_ROWS = 5
"""Rows of each kind that are named."""

Condition = ColumnElement[bool]
Gone = dict[Table, list[Condition]]


@dataclass(frozen=True)
class AffectedRows:
    """Rows of one model."""

    label: str
    count: int
    names: Sequence[str]


@dataclass
class DeletionImpact:
    gone: list[AffectedRows] = field(default_factory=list)
    emptied: list[AffectedRows] = field(default_factory=list)
    """They stay, and point at nothing then."""
    protecting: list[AffectedRows] = field(default_factory=list)
    """They stay, and need what would be deleted."""


async def delete_page(request: Request, view: View) -> Response:
    """Asks, with all that will go; deletes when that is confirmed."""
    if not (view.can_delete and view.is_accessible(request)):
        raise HTTPException(403)
    try:
        choice = await read_selection(request, view)
    except ValidationRefused as refusal:
        return redirect_with_error(request, view, str(refusal))
    if request.method == "POST" and choice.is_confirmed:
        return await _delete(request, view, choice)
    rows = await selected_rows(request, view, choice.pks)
    if len(rows) < len(choice.pks):
        raise HTTPException(404)
    for row in rows:
        if not await view.check_can_delete(request, row):
            raise HTTPException(403)
    found = await deletion_impact(request, view, choice.pks)
    return await confirmation_page(request, view, choice, rows, title="Delete", consequences=found)


async def _delete(request: Request, view: View, choice: Selection) -> Response:
    try:
        await view.delete_rows(request, choice.pks)
    except ValidationRefused as refusal:
        return redirect_with_error(request, view, f"Nothing was deleted. {refusal}")
    count = len(choice.pks)
    flash(request, f"Deleted {count:,} {view.name if count == 1 else view.name_plural}.")
    return RedirectResponse(list_url(request, view), 303)


async def deletion_impact(request: Request, view: View, pks: Sequence[str]) -> DeletionImpact:
    """What the database will do to other rows, and to other rows of the same table."""
    chosen, root = primary_key_in(view, pks), view.table
    rules = _rules_of_models(view.mapper)
    gone = _gone(root, chosen, rules)
    found = DeletionImpact()
    async with view.site.database.reader(fresh=True) as session:
        look = _Look(session, request, view)
        for table, conditions in gone.items():
            others = conditions[1:] if table is root else conditions
            if others:
                condition = and_(or_(*others), ~chosen) if table is root else or_(*others)
                found.gone += await look.at(table, condition)
        for table, rule, condition in _left(gone, rules):
            (found.emptied if rule == "SET NULL" else found.protecting).extend(await look.at(table, condition))
    return found


def _gone(root: Table, chosen: Condition, rules: dict[Any, str]) -> Gone:
    """By table what goes, the chosen first: whatever points at a row that goes and is to follow it."""
    gone: Gone = {root: [chosen]}
    waiting = [(root, chosen, 0)]
    for table, condition, depth in waiting:  # grows while it is walked
        for key in _pointing_at(table):
            if depth < MAX_CASCADE_DEPTH and _rule(key, rules) == "CASCADE":
                below = _points_into(key, condition)
                gone.setdefault(key.table, []).append(below)
                waiting.append((key.table, below, depth + 1))
    return gone


def _left(gone: Gone, rules: dict[Any, str]) -> Iterator[tuple[Table, str, Condition]]:
    """What points at a row that goes and does not go itself."""
    for table, conditions in gone.items():
        for key in _pointing_at(table):
            if (rule := _rule(key, rules)) != "CASCADE":
                condition = _points_into(key, or_(*conditions))
                if going := gone.get(key.table):
                    number = _one(key.table.primary_key.columns)
                    keys = select(*key.table.primary_key.columns).where(or_(*going)).correlate(None)
                    condition = and_(condition, number.not_in(keys))
                yield key.table, rule, condition


def _pointing_at(table: Table) -> Iterator[ForeignKeyConstraint]:
    for other in table.metadata.tables.values():
        yield from (key for key in other.foreign_key_constraints if key.referred_table is table)


def _points_into(key: ForeignKeyConstraint, condition: Condition) -> Condition:
    # Without correlate() a table that points at itself would be taken for the one around.
    rows = select(*(element.column for element in key.elements)).where(condition).correlate(None)
    points: Condition = _one(key.columns).in_(rows)
    return points


def _one(columns: Any) -> Any:
    several = list(columns)
    return several[0] if len(several) == 1 else tuple_(*several)


def _rule(key: ForeignKeyConstraint, rules: dict[Any, str]) -> str:
    """What happens to a row when what it points at goes: CASCADE, SET NULL, or it is in the way."""
    declared = (key.ondelete or "").upper()
    return declared if declared in ("CASCADE", "SET NULL") else rules.get(next(iter(key.columns)), "")


def _rules_of_models(mapper: Mapper[Any]) -> dict[Any, str]:
    """What SQLAlchemy does by itself to the rows of relationships, by the column that points."""
    owned = (
        relation
        for other in mapper.registry.mappers
        for relation in other.relationships
        if relation.direction is RelationshipDirection.ONETOMANY and not relation.viewonly
    )
    linked = (relation for relation in mapper.relationships if relation.secondary is not None and not relation.viewonly)
    return {
        column: "CASCADE" if relation.cascade.delete else "SET NULL" if column.nullable else ""
        for relation in owned
        for column in relation.remote_side
    } | {link: "CASCADE" for relation in linked for _, link in relation.synchronize_pairs}


@dataclass(frozen=True)
class _Look:
    """Counts rows, and names the first for whoever may list them."""

    session: AsyncSession
    request: Request
    view: View

    async def at(self, table: Table, condition: Condition) -> list[AffectedRows]:
        count = await self.session.scalar(select(func.count()).select_from(table).where(condition))
        if not count:
            return []
        mapper = next((one for one in self.view.mapper.registry.mappers if one.local_table is table), None)
        if mapper is None:
            return [AffectedRows(table.name, count, [])]
        view = self.view.site.view_for_model(mapper.class_)
        label = mapper.class_.__name__ if view is None else view.name if count == 1 else view.name_plural
        if view is None or not await may_list(self.request, view):
            return [AffectedRows(label, count, [])]
        rows = await self.session.scalars(view.list_query(self.request).where(condition).limit(MAX_NAMED_ROWS))
        return [AffectedRows(label, count, [title_of(row) for row in rows])]
