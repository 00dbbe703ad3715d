"""Preview of a deletion: counts the related rows it would delete, clear or be blocked by."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ForeignKeyConstraint, Select, Table, and_, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper, RelationshipDirection

from opportune.db.models.soft_delete import SoftDelete
from opportune.db.queries.referencing_rows import foreign_keys_to, references_rows, single_or_tuple

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
    rows: Sequence["RowLink"] = ()
    """The first rows that the user may see."""
    list_url: str = ""
    """Address of the list of these rows, or an empty text."""
    in_trash: int = 0
    """Number of these rows in the trash, which lists do not show."""


class RowLink(NamedTuple):
    title: str
    url: str
    """Empty if the user may not open the row."""


TextOf = Callable[[Any], str]
"""Returns a text of a row, such as its title or its URL."""


class RelatedModel(NamedTuple):
    """How a preview shows the rows of a model."""

    label: str
    visible: Select[Any] | None = None
    """Query of the rows that the user may see."""
    url_of: TextOf = lambda _row: ""
    list_url: str = ""


@dataclass
class DeletionImpact:
    """Related rows, grouped by what the database does to them."""

    deleted: list[AffectedRows] = field(default_factory=list)
    """Rows removed by ON DELETE CASCADE."""
    cleared: list[AffectedRows] = field(default_factory=list)
    """Rows whose foreign key becomes NULL."""
    blocking: list[AffectedRows] = field(default_factory=list)
    """Rows that prevent the deletion."""


DescribeModel = Callable[[type[Any], int, str], Awaitable[RelatedModel]]
"""Describes a number of rows of a model, which refer to the deleted rows by a column, or in another way ("")."""


async def find_deletion_impact(
    session: AsyncSession,
    mapper: Mapper[Any],
    selected: Condition,
    describe_model: DescribeModel,
    title_of: TextOf,
    link_tables: Collection[Any] = (),
) -> DeletionImpact:
    """Return what deleting the selected rows would do to related rows, also of the same table.

    Deleted rows of `link_tables` are left out.
    """
    rules = _rules_of_relationships(mapper)
    root: Any = mapper.local_table
    deleted = _find_deleted(root, selected, rules)
    impact = DeletionImpact()
    counter = _RowCounter(session, mapper, describe_model, title_of)
    for table, conditions in deleted.items():
        # The first condition of the root is that of the selected rows themselves.
        related = [and_(condition, ~selected) for condition in conditions[1:]] if table is root else conditions
        if related and table not in link_tables:
            impact.deleted += await counter.count(table, or_(*related))
    for rows in _find_references(deleted, rules):
        columns = [*rows.key.columns] if rows.key.referred_table is root else []
        column = columns[0].name if len(columns) == 1 else ""
        affected = impact.cleared if rows.rule == "SET NULL" else impact.blocking
        affected += await counter.count(rows.key.table, rows.condition, column)
    return impact


def _find_deleted(root: Table, selected: Condition, rules: dict[Any, str]) -> ConditionsByTable:
    """Return the conditions of deleted rows by table. The condition of the selected rows comes first."""
    deleted: ConditionsByTable = {root: [selected]}
    queue = [(root, selected, 0)]
    for table, condition, depth in queue:  # grows during the loop
        for key in foreign_keys_to(table):
            if depth < MAX_CASCADE_DEPTH and _deletion_rule(key, rules) == "CASCADE":
                dependents = references_rows(key, condition)
                deleted.setdefault(key.table, []).append(dependents)
                queue.append((key.table, dependents, depth + 1))
    return deleted


class _ReferencingRows(NamedTuple):
    """Rows of a table that reference a deleted row and are not deleted themselves."""

    key: ForeignKeyConstraint
    rule: str
    """SET NULL, or an empty string if the rows block the deletion."""
    condition: Condition


def _find_references(deleted: ConditionsByTable, rules: dict[Any, str]) -> Iterator[_ReferencingRows]:
    for table, conditions in deleted.items():
        for key in foreign_keys_to(table):
            rule = _deletion_rule(key, rules)
            if rule == "CASCADE":
                continue
            condition = references_rows(key, or_(*conditions))
            if same_table := deleted.get(key.table):
                row_key = key.table.primary_key.columns
                deleted_keys = select(*row_key).where(or_(*same_table)).correlate(None)
                condition = and_(condition, single_or_tuple(row_key).not_in(deleted_keys))
            yield _ReferencingRows(key, rule, condition)


def _deletion_rule(key: ForeignKeyConstraint, rules: dict[Any, str]) -> str:
    """Return CASCADE, SET NULL, or an empty string if the row blocks the deletion of its target."""
    declared = (key.ondelete or "").upper()
    return declared if declared in ("CASCADE", "SET NULL") else rules.get(next(iter(key.columns)), "")


def _rules_of_relationships(mapper: Mapper[Any]) -> dict[Any, str]:
    """Return the rules that SQLAlchemy applies to relationships, by foreign key column."""
    one_to_many = (
        relation
        for other in mapper.registry.mappers
        for relation in other.relationships
        if relation.direction is RelationshipDirection.ONETOMANY and not relation.viewonly
    )
    linked = (relation for relation in mapper.relationships if relation.secondary is not None and not relation.viewonly)
    rules = {}
    for relation in one_to_many:
        for column in relation.remote_side:
            clearing = "SET NULL" if column.nullable else ""
            rules[column] = "CASCADE" if relation.cascade.delete else clearing
    return rules | {link: "CASCADE" for relation in linked for _, link in relation.synchronize_pairs}


@dataclass(frozen=True)
class _RowCounter:
    """Counts affected rows and reads the titles of the first few."""

    session: AsyncSession
    mapper: Mapper[Any]
    describe_model: DescribeModel
    title_of: TextOf

    async def count(self, table: Table, condition: Condition, column: str = "") -> list[AffectedRows]:
        mapper = next((other for other in self.mapper.registry.mappers if other.local_table is table), None)
        deleted_at = table.columns["deleted_at"] if mapper and issubclass(mapper.class_, SoftDelete) else null()
        query = select(func.count(), func.count(deleted_at)).select_from(table).where(condition)
        count, in_trash = (await self.session.execute(query)).one()
        if not count:
            return []
        model = await self.describe_model(mapper.class_, count, column) if mapper else RelatedModel(table.name)
        if model.visible is None:
            return [AffectedRows(model.label, count, in_trash=in_trash)]
        rows = (await self.session.scalars(model.visible.where(condition).limit(MAX_NAMED_ROWS))).all()
        # A title may load other rows.
        links = await self.session.run_sync(lambda _: [RowLink(self.title_of(row), model.url_of(row)) for row in rows])
        return [AffectedRows(model.label, count, links, model.list_url, in_trash)]
