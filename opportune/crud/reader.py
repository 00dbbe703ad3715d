"""Queries that return rows as mappings, without loading objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Result, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from opportune.crud.declaration import shape_of
from opportune.crud.schemas import nested_field_names
from opportune.db.database import Session
from opportune.db.queries.paths import is_among

if TYPE_CHECKING:
    from opportune.crud.row_reading import ReadOperations

Getter = Callable[[Sequence[Any]], Any]


@dataclass
class Selection:
    """The columns and joins of a query, and the way to read the value of each name from a result row."""

    columns: list[ColumnElement[Any]] = field(default_factory=list)
    joins: list[tuple[Any, ColumnElement[bool]]] = field(default_factory=list)
    getters: dict[str, Getter | int] = field(default_factory=dict)
    """By name: the index of the value in a result row, or a function that combines several columns."""
    links: list[str] = field(default_factory=list)
    """Many-to-many relationships, which need further statements."""

    def add(self, column: ColumnElement[Any]) -> int:
        self.columns.append(column)
        return len(self.columns) - 1


class ListStatement(NamedTuple):
    """The statements of a list: one selects a page, the other counts all rows."""

    selection: Selection
    page_statement: Select[Any]
    count_statement: Select[Any]


async def fetch(
    session: AsyncSession, statement: Select[Any], values: Mapping[str, Any], *, is_single_query: bool
) -> Sequence[Sequence[Any]]:
    """Return the result rows of a statement. Set `is_single_query` if no other statement needs the same snapshot."""
    if is_single_query and isinstance(session, Session):
        return await session.fetch(statement, values)
    result: Result[*tuple[Any, ...]] = await (await session.connection()).execute(statement, values)
    return result.all()


def select_names(crud: "ReadOperations[Any]", names: Sequence[str]) -> Selection:
    """Select the columns for these names. The first column is always the `id`."""
    shape, nested = crud.definition.shape, crud.definition.options.nested
    selection = Selection()
    selection.add(crud.model.id)
    for name in names:
        if name in shape.links:
            selection.links.append(name)
        elif name in shape.to_one and name in nested:
            selection.getters[name] = _join(crud, selection, name)
        else:
            selection.getters[name] = 0 if name == "id" else selection.add(crud.column(name))
    return selection


def _join(crud: "ReadOperations[Any]", selection: Selection, name: str) -> Getter:
    """Join the related row. Its value is None if the user may not see it."""
    shape = crud.definition.shape
    target = shape.to_one[name].mapper.class_
    related = aliased(target)
    foreign_key = getattr(crud.model, shape.column_of(name))
    selection.joins.append((related, (related.id == foreign_key) & is_among(crud.visible, related.id, target)))
    keys = _nested_keys(crud, target)
    start = selection.add(getattr(related, keys[0]))
    for key in keys[1:]:
        selection.add(getattr(related, key))
    end = start + len(keys)
    return lambda row: None if row[start] is None else dict(zip(keys, row[start:end], strict=True))


def _nested_keys(crud: "ReadOperations[Any]", target: type[Any]) -> list[str]:
    hidden = crud.hidden_in(target)
    return [name for name in nested_field_names(shape_of(target)) if name not in hidden]


def add_joins(statement: Select[Any], selection: Selection) -> Select[Any]:
    for related, condition in selection.joins:
        statement = statement.outerjoin(related, condition)
    return statement


async def values_of(
    crud: "ReadOperations[Any]", selection: Selection, rows: Sequence[Sequence[Any]]
) -> list[dict[str, Any]]:
    """Return result rows as mappings. Each many-to-many relationship needs an additional statement."""
    getters = selection.getters
    if not selection.links and all(type(getter) is int for getter in getters.values()):
        indexes: Mapping[str, Any] = getters
        return [{name: row[index] for name, index in indexes.items()} for row in rows]
    mappings = [{name: row[get] if isinstance(get, int) else get(row) for name, get in getters.items()} for row in rows]
    for name in selection.links:
        related = await _read_links(crud, name, [row[0] for row in rows])
        for row, mapping in zip(rows, mappings, strict=True):
            mapping[name] = related.get(row[0], [])
    return mappings


async def _read_links(crud: "ReadOperations[Any]", name: str, ids: Sequence[int]) -> dict[int, list[Any]]:
    """Return the linked rows of each row as ids, or as mappings if the relationship is nested."""
    if name not in crud.definition.options.nested:
        return await read_linked(crud, name, ids, ["id"], lambda values: values[0])
    keys = _nested_keys(crud, crud.definition.shape.links[name])
    return await read_linked(crud, name, ids, keys, lambda values: dict(zip(keys, values, strict=True)))


async def read_linked(
    crud: "ReadOperations[Any]", name: str, ids: Sequence[int], keys: Sequence[str], convert: Getter
) -> dict[int, list[Any]]:
    """Return the visible linked rows of each row by its id, ordered by their ids.

    Args:
        crud: The data layer of the user.
        name: The relationship.
        ids: The ids of the rows.
        keys: The columns to read of the linked rows. If empty, the objects are loaded.
        convert: Function that converts the values of one linked row.
    """
    if not ids:
        return {}
    target = crud.definition.shape.links[name]
    related = aliased(target)
    columns = [getattr(related, key) for key in keys] or [related]
    statement = select(crud.model.id, *columns).join(getattr(crud.model, name).of_type(related))
    conditions = crud.model.id.in_(ids), is_among(crud.visible, related.id, target)
    rows: dict[int, list[Any]] = {}
    for row_id, *values in await crud.session.execute(statement.where(*conditions).order_by(related.id)):
        rows.setdefault(row_id, []).append(convert(values))
    return rows
