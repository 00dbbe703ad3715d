"""What the deletion of rows does to others: counted, and never loaded."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Table, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, RelationshipDirection

MAX_CASCADE_DEPTH = 4
"""Levels of what goes along with what goes along."""

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


Naming = Callable[[type[Any], Condition, int], Awaitable[AffectedRows]]
"""Tells what so many rows of a model are called, for whoever asks."""


async def find_deletion_impact(
    session: AsyncSession, mapper: Mapper[Any], chosen: Condition, naming: Naming
) -> DeletionImpact:
    """What the database will do to other rows, and to other rows of the same table."""
    rules = _rules_of_models(mapper)
    root: Any = mapper.local_table
    gone = _gone(root, chosen, rules)
    found = DeletionImpact()
    look = _Look(session, mapper, naming)
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
    """Counts rows and has them named."""

    session: AsyncSession
    mapper: Mapper[Any]
    naming: Naming

    async def at(self, table: Table, condition: Condition) -> list[AffectedRows]:
        count = await self.session.scalar(select(func.count()).select_from(table).where(condition))
        if not count:
            return []
        mapper = next((one for one in self.mapper.registry.mappers if one.local_table is table), None)
        return [await self.naming(mapper.class_, condition, count) if mapper else AffectedRows(table.name, count, [])]
