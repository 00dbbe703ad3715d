"""Columns and joins of a statement that reads rows as mappings, without loading objects."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import aliased

from opportune.crud.declaration import shape_of
from opportune.crud.schema_fields import nested_field_names
from opportune.crud.statements import RowStatements
from opportune.db.queries.paths import is_among

Getter = Callable[[Sequence[Any]], Any]
"""Function that returns a value from a result row."""


class Selection:
    """Columns and joins of a statement by name. The first column is the `id`.

    Args:
        crud: The data layer of the user who reads. Only joins of nested relationships depend on the user.
        names: Columns, annotations, relationships and paths to read.
    """

    def __init__(self, crud: RowStatements, names: Sequence[str]) -> None:
        shape = crud.definition.shape
        self._nested = crud.nested
        self.columns: list[ColumnElement[Any]] = [crud.model.id]
        self._joins: list[tuple[Any, ColumnElement[bool]]] = []
        self.links = [name for name in names if name in shape.links]
        """Many-to-many relationships, which need further statements."""
        self._indexes: dict[str, int] = {}
        """Index of the value in a result row, by name."""
        self._getters: dict[str, Getter] = {}
        """Functions that combine several columns, by name."""
        for name in names:
            if name in shape.to_one and name in self._nested:
                self._getters[name] = self._join(crud, name)
            elif name not in self.links:
                self._indexes[name] = 0 if name == "id" else self._add(crud.column(name))

    def _add(self, column: ColumnElement[Any]) -> int:
        self.columns.append(column)
        return len(self.columns) - 1

    def _join(self, crud: RowStatements, name: str) -> Getter:
        """Join the related row. Its value is None if the user may not see it."""
        shape = crud.definition.shape
        target = shape.to_one[name].mapper.class_
        related = aliased(target)
        foreign_key = getattr(shape.model, shape.column_of(name))
        self._joins.append((related, (related.id == foreign_key) & is_among(crud.visible, related.id, target)))
        keys = _nested_keys(crud, target)
        indexes = [self._add(getattr(related, key)) for key in keys]
        start = indexes[0]
        end = indexes[-1] + 1

        def get_values(row: Sequence[Any]) -> dict[str, Any] | None:
            return None if row[start] is None else dict(zip(keys, row[start:end], strict=True))

        return get_values

    def select(self, rows: Select[Any]) -> Select[Any]:
        """Return the statement with these columns and joins."""
        statement = rows.with_only_columns(*self.columns, maintain_column_froms=True)
        for related, condition in self._joins:
            statement = statement.outerjoin(related, condition)
        return statement

    async def values(self, crud: RowStatements, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Return result rows as mappings. Each many-to-many relationship needs an additional statement.

        Args:
            crud: The data layer of the user who reads, who may be another one than that of the selection.
            rows: The result rows.
        """
        mappings: list[dict[str, Any]] = [{name: row[index] for name, index in self._indexes.items()} for row in rows]
        for name, get in self._getters.items():
            for row, mapping in zip(rows, mappings, strict=True):
                mapping[name] = get(row)
        for name in self.links:
            related = await self._read_links(crud, name, [row[0] for row in rows])
            for row, mapping in zip(rows, mappings, strict=True):
                mapping[name] = related.get(row[0], [])
        return mappings

    async def _read_links(self, crud: RowStatements, name: str, ids: Sequence[int]) -> dict[int, list[Any]]:
        """Return the linked rows of each row as ids, or as mappings if the relationship is nested."""
        if name not in self._nested:
            linked = await read_linked(crud, name, ids, ["id"])
            return {row_id: [id_ for (id_,) in rows] for row_id, rows in linked.items()}
        keys = _nested_keys(crud, crud.definition.shape.links[name])
        linked = await read_linked(crud, name, ids, keys)
        return {row_id: [dict(zip(keys, values, strict=True)) for values in rows] for row_id, rows in linked.items()}


def _nested_keys(crud: RowStatements, target: type[Any]) -> list[str]:
    hidden = crud.hidden_names_of(target)
    return [name for name in nested_field_names(shape_of(target)) if name not in hidden]


async def read_linked(
    crud: RowStatements, name: str, ids: Sequence[int], keys: Sequence[str] = ()
) -> dict[int, list[Sequence[Any]]]:
    """Return the values of the linked rows of each row that the user may see, by its id, ordered by their ids.

    Args:
        crud: The data layer of the rows.
        name: The relationship.
        ids: The ids of the rows.
        keys: The columns to read of the linked rows. By default the only value is the object.
    """
    if not ids:
        return {}
    model = crud.model
    target = crud.definition.shape.links[name]
    related = aliased(target)
    columns = [getattr(related, key) for key in keys] or [related]
    statement = select(model.id, *columns).join(getattr(model, name).of_type(related))
    statement = statement.where(model.id.in_(ids), is_among(crud.visible, related.id, target)).order_by(related.id)
    rows: dict[int, list[Sequence[Any]]] = {}
    for row_id, *values in await crud.session.execute(statement):
        rows.setdefault(row_id, []).append(values)
    return rows
