"""Columns and joins of a statement that reads rows as mappings, without loading objects."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from opportune.crud.declaration import Shape, shape_of
from opportune.crud.schemas import nested_field_names
from opportune.db.queries.paths import Visible, is_among

Getter = Callable[[Sequence[Any]], Any]
"""Return a value from a result row."""


class Selection:
    """Columns and joins of a statement by name. The first column is the `id`.

    Args:
        shape: The model.
        nested: Relationships whose values are mappings of the related row instead of ids.
        names: Columns, annotations, relationships and paths to read.
        column: Function that returns the expression of a name.
        visible: Function that returns the condition for visible rows of a related model.
        hidden_in: Function that returns the hidden fields of a related model.
    """

    def __init__(
        self,
        shape: Shape,
        nested: Sequence[str],
        names: Sequence[str],
        *,
        column: Callable[[str], ColumnElement[Any]],
        visible: Visible,
        hidden_in: Callable[[type[Any]], frozenset[str]],
    ) -> None:
        self.shape, self.nested, self.visible, self.hidden_in = shape, nested, visible, hidden_in
        self.columns: list[ColumnElement[Any]] = [shape.model.id]
        self._joins: list[tuple[Any, ColumnElement[bool]]] = []
        self.links = [name for name in names if name in shape.links]
        """Many-to-many relationships, which need further statements."""
        self._indexes: dict[str, int] = {}
        """Index of the value in a result row, by name."""
        self._getters: dict[str, Getter] = {}
        """Functions that combine several columns, by name."""
        for name in names:
            if name in shape.to_one and name in nested:
                self._getters[name] = self._join(name)
            elif name not in self.links:
                self._indexes[name] = 0 if name == "id" else self._add(column(name))

    def _add(self, column: ColumnElement[Any]) -> int:
        self.columns.append(column)
        return len(self.columns) - 1

    def _join(self, name: str) -> Getter:
        """Join the related row. Its value is None if the user may not see it."""
        target = self.shape.to_one[name].mapper.class_
        related = aliased(target)
        foreign_key = getattr(self.shape.model, self.shape.column_of(name))
        self._joins.append((related, (related.id == foreign_key) & is_among(self.visible, related.id, target)))
        keys = self._nested_keys(target)
        indexes = [self._add(getattr(related, key)) for key in keys]
        start, end = indexes[0], indexes[-1] + 1
        return lambda row: None if row[start] is None else dict(zip(keys, row[start:end], strict=True))

    def _nested_keys(self, target: type[Any]) -> list[str]:
        hidden = self.hidden_in(target)
        return [name for name in nested_field_names(shape_of(target)) if name not in hidden]

    def select(self, rows: Select[Any]) -> Select[Any]:
        """Return the statement with these columns and joins."""
        statement = rows.with_only_columns(*self.columns, maintain_column_froms=True)
        for related, condition in self._joins:
            statement = statement.outerjoin(related, condition)
        return statement

    async def values(self, session: AsyncSession, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Return result rows as mappings. Each many-to-many relationship needs an additional statement."""
        mappings: list[dict[str, Any]] = [{name: row[index] for name, index in self._indexes.items()} for row in rows]
        for name, get in self._getters.items():
            for row, mapping in zip(rows, mappings, strict=True):
                mapping[name] = get(row)
        for name in self.links:
            related = await self._read_links(session, name, [row[0] for row in rows])
            for row, mapping in zip(rows, mappings, strict=True):
                mapping[name] = related.get(row[0], [])
        return mappings

    async def _read_links(self, session: AsyncSession, name: str, ids: Sequence[int]) -> dict[int, list[Any]]:
        """Return the linked rows of each row as ids, or as mappings if the relationship is nested."""
        if name not in self.nested:
            linked = await read_linked(session, self.shape, name, ids, self.visible, ["id"])
            return {row_id: [id_ for (id_,) in rows] for row_id, rows in linked.items()}
        keys = self._nested_keys(self.shape.links[name])
        linked = await read_linked(session, self.shape, name, ids, self.visible, keys)
        return {row_id: [dict(zip(keys, values, strict=True)) for values in rows] for row_id, rows in linked.items()}


async def read_linked(
    session: AsyncSession, shape: Shape, name: str, ids: Sequence[int], visible: Visible, keys: Sequence[str] = ()
) -> dict[int, list[Sequence[Any]]]:
    """Return the values of the visible linked rows of each row by its id, ordered by their ids.

    Args:
        session: Session to read with.
        shape: The model of the rows.
        name: The relationship.
        ids: The ids of the rows.
        visible: Function that returns the condition for visible linked rows.
        keys: The columns to read of the linked rows. By default the only value is the object.
    """
    if not ids:
        return {}
    model, target = shape.model, shape.links[name]
    related = aliased(target)
    columns = [getattr(related, key) for key in keys] or [related]
    statement = select(model.id, *columns).join(getattr(model, name).of_type(related))
    conditions = model.id.in_(ids), is_among(visible, related.id, target)
    rows: dict[int, list[Sequence[Any]]] = {}
    for row_id, *values in await session.execute(statement.where(*conditions).order_by(related.id)):
        rows.setdefault(row_id, []).append(values)
    return rows
