"""Rows as mappings of the columns that a response needs, without loading objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from opportune.crud.declaration import shape_of
from opportune.crud.schemas import nested_names
from opportune.db.database import Session
from opportune.db.queries.paths import is_among

if TYPE_CHECKING:
    from opportune.crud.row_reading import Reading

Take = Callable[[Sequence[Any]], Any]


@dataclass
class Selection:
    """The selected columns and joins for some names, and the way to read each name from a result row."""

    columns: list[ColumnElement[Any]] = field(default_factory=list)
    joins: list[tuple[Any, ColumnElement[bool]]] = field(default_factory=list)
    takes: dict[str, Take | int] = field(default_factory=dict)
    """The index of a name in a result row, or a function that combines several columns."""
    links: list[str] = field(default_factory=list)

    def add(self, column: ColumnElement[Any]) -> int:
        self.columns.append(column)
        return len(self.columns) - 1


class Prepared(NamedTuple):
    """A cached statement: its selection, and the statement that only counts."""

    selection: Selection
    statement: Select[Any]
    counting: Select[Any]


async def fetch(
    session: AsyncSession, statement: Select[Any], values: Mapping[str, Any], *, alone: bool
) -> Sequence[Sequence[Any]]:
    """Return the result rows of a statement. `alone` says that no other statement needs the same snapshot."""
    if alone and isinstance(session, Session):
        return await session.fetch(statement, values)
    return (await (await session.connection()).execute(statement, values)).all()


def select_names(crud: "Reading[Any]", names: Sequence[str]) -> Selection:
    """Select the columns of these names. The first one is always the row's `id`."""
    shape, nested = crud.definition.shape, crud.definition.options.nested
    found = Selection()
    found.add(crud.model.id)
    for name in names:
        if name in shape.links:
            found.links.append(name)
        elif name in shape.to_one and name in nested:
            found.takes[name] = _join(crud, found, name)
        else:
            found.takes[name] = 0 if name == "id" else found.add(crud.column(name))
    return found


def _join(crud: "Reading[Any]", found: Selection, name: str) -> Take:
    """Join the related row, which is None if the user may not see it."""
    shape = crud.definition.shape
    target = shape.to_one[name].mapper.class_
    there = aliased(target)
    kept = getattr(crud.model, shape.column_of(name))
    found.joins.append((there, (there.id == kept) & is_among(crud.visible, there.id, target)))
    keys = _nested_keys(crud, target)
    first = found.add(getattr(there, keys[0]))
    for key in keys[1:]:
        found.add(getattr(there, key))
    last = first + len(keys)
    return lambda row: None if row[first] is None else dict(zip(keys, row[first:last], strict=True))


def _nested_keys(crud: "Reading[Any]", target: type[Any]) -> list[str]:
    hidden = crud.hidden_in(target)
    return [name for name in nested_names(shape_of(target)) if name not in hidden]


def joined(statement: Select[Any], selection: Selection) -> Select[Any]:
    for there, condition in selection.joins:
        statement = statement.outerjoin(there, condition)
    return statement


async def values_of(crud: "Reading[Any]", selection: Selection, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return result rows as mappings. Each many-to-many relationship takes one more statement."""
    takes = selection.takes
    if not selection.links and all(type(take) is int for take in takes.values()):
        places: Mapping[str, Any] = takes
        return [{name: row[place] for name, place in places.items()} for row in rows]
    made = [{name: row[take] if isinstance(take, int) else take(row) for name, take in takes.items()} for row in rows]
    for name in selection.links:
        others = await _nested(crud, name, [row[0] for row in rows])
        for row, values in zip(rows, made, strict=True):
            values[name] = others.get(row[0], [])
    return made


async def _nested(crud: "Reading[Any]", name: str, numbers: Sequence[int]) -> dict[int, list[Any]]:
    """Return the linked rows of each row, as numbers or as mappings."""
    if name not in crud.definition.options.nested:
        return await linked(crud, name, numbers, ["id"], lambda values: values[0])
    keys = _nested_keys(crud, crud.definition.shape.links[name])
    return await linked(crud, name, numbers, keys, lambda values: dict(zip(keys, values, strict=True)))


async def linked(
    crud: "Reading[Any]", name: str, numbers: Sequence[int], keys: Sequence[str], made: Callable[[Sequence[Any]], Any]
) -> dict[int, list[Any]]:
    """Return the visible linked rows of each row, by its number and ordered by theirs.

    Args:
        crud: The data layer of the user.
        name: The relationship.
        numbers: The numbers of the rows.
        keys: The columns to read of the linked rows. Without any, the objects are loaded.
        made: Converts the values of one linked row.
    """
    if not numbers:
        return {}
    target = crud.definition.shape.links[name]
    there = aliased(target)
    columns = [getattr(there, key) for key in keys] or [there]
    statement = select(crud.model.id, *columns).join(getattr(crud.model, name).of_type(there))
    wanted = crud.model.id.in_(numbers), is_among(crud.visible, there.id, target)
    found: dict[int, list[Any]] = {}
    for number, *values in await crud.session.execute(statement.where(*wanted).order_by(there.id)):
        found.setdefault(number, []).append(made(values))
    return found
