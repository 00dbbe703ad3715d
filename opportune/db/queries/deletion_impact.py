"""Preview of a deletion: counts the related rows it would delete, clear or be blocked by."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Select, Table, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, RelationshipDirection

MAX_CASCADE_DEPTH = 4
"""Levels of cascading foreign keys to follow."""
MAX_NAMED_ROWS = 5
"""Rows of each model whose titles are shown."""

Condition = ColumnElement[bool]
ConditionsByTable = dict[Table, list[Condition]]


@dataclass(frozen=True)
class AffectedRows:
    """Related rows of one model."""

    label: str
    count: int
    names: Sequence[str]


@dataclass
class DeletionImpact:
    """Related rows, grouped by what the database does to them."""

    deleted: list[AffectedRows] = field(default_factory=list)
    """Rows removed by ON DELETE CASCADE."""
    cleared: list[AffectedRows] = field(default_factory=list)
    """Rows whose foreign key becomes NULL."""
    blocking: list[AffectedRows] = field(default_factory=list)
    """Rows that prevent the deletion."""


DescribeModel = Callable[[type[Any], int], Awaitable[tuple[str, Select[Any] | None]]]
"""Return the label for a number of rows of a model, and the rows the user may see. None stands for no rows."""


async def find_deletion_impact(
    session: AsyncSession,
    mapper: Mapper[Any],
    selected: Condition,
    describe: DescribeModel,
    title_of: Callable[[Any], str],
) -> DeletionImpact:
    """Return what deleting the selected rows would do to related rows, also of the same table."""
    rules = _rules_of_models(mapper)
    root: Any = mapper.local_table
    deleted = _deleted(root, selected, rules)
    impact = DeletionImpact()
    counter = _Counter(session, mapper, describe, title_of)
    for table, conditions in deleted.items():
        related = conditions[1:] if table is root else conditions
        if related:
            condition = and_(or_(*related), ~selected) if table is root else or_(*related)
            impact.deleted += await counter.count(table, condition)
    for table, rule, condition in _remaining(deleted, rules):
        (impact.cleared if rule == "SET NULL" else impact.blocking).extend(await counter.count(table, condition))
    return impact


def _deleted(root: Table, selected: Condition, rules: dict[Any, str]) -> ConditionsByTable:
    """Return conditions for the deleted rows of each table, those of the selected rows first."""
    deleted: ConditionsByTable = {root: [selected]}
    waiting = [(root, selected, 0)]
    for table, condition, depth in waiting:  # grows while it is walked
        for key in _pointing_at(table):
            if depth < MAX_CASCADE_DEPTH and _rule(key, rules) == "CASCADE":
                below = _points_into(key, condition)
                deleted.setdefault(key.table, []).append(below)
                waiting.append((key.table, below, depth + 1))
    return deleted


def _remaining(deleted: ConditionsByTable, rules: dict[Any, str]) -> Iterator[tuple[Table, str, Condition]]:
    """Yield rows that point at a deleted row and are not deleted themselves."""
    for table, conditions in deleted.items():
        for key in _pointing_at(table):
            if (rule := _rule(key, rules)) != "CASCADE":
                condition = _points_into(key, or_(*conditions))
                if same_table := deleted.get(key.table):
                    number = _one(key.table.primary_key.columns)
                    keys = select(*key.table.primary_key.columns).where(or_(*same_table)).correlate(None)
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
    """Return what happens to a row when its target is deleted: CASCADE, SET NULL, or nothing if it blocks that."""
    declared = (key.ondelete or "").upper()
    return declared if declared in ("CASCADE", "SET NULL") else rules.get(next(iter(key.columns)), "")


def _rules_of_models(mapper: Mapper[Any]) -> dict[Any, str]:
    """Return what SQLAlchemy itself does to the rows of relationships, by their foreign key column."""
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
class _Counter:
    """Counts rows and reads the titles of the first."""

    session: AsyncSession
    mapper: Mapper[Any]
    describe: DescribeModel
    title_of: Callable[[Any], str]

    async def count(self, table: Table, condition: Condition) -> list[AffectedRows]:
        count = await self.session.scalar(select(func.count()).select_from(table).where(condition))
        if not count:
            return []
        mapper = next((each for each in self.mapper.registry.mappers if each.local_table is table), None)
        label, visible = await self.describe(mapper.class_, count) if mapper else (table.name, None)
        if visible is None:
            return [AffectedRows(label, count, [])]
        rows = (await self.session.scalars(visible.where(condition).limit(MAX_NAMED_ROWS))).all()
        # A title may load other rows.
        return [AffectedRows(label, count, await self.session.run_sync(lambda _: [*map(self.title_of, rows)]))]
