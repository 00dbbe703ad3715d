"""Reads the rows of a data layer: pages of a list and single rows, as objects or as mappings."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Result, Select, false, select

from opportune.crud.access import PAGING, RowAccess
from opportune.crud.list_statements import count_listed, list_identity, mapping_statement, select_listed
from opportune.crud.options import Key
from opportune.crud.query_schema import CURSOR
from opportune.crud.selection import Selection
from opportune.db.models.row_ids import parse_row_id
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.listing import (
    CountedRows,
    Cursor,
    Execute,
    ListedRows,
    ListStatement,
    OrderTerm,
    Position,
    find_cursor,
    list_statement,
    read_page,
)
from opportune.db.sessions.session import Rows, Session
from opportune.db.sessions.trash import hide_deleted, with_deleted
from opportune.errors import FieldErrors, require_found
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import Page, Paging, page_count, select_key
from opportune.web.forms.error_messages import INVALID_CHOICE, UNKNOWN_NAME

WRONG_CURSOR = _l("There is no such row. Begin with the first page.")
AnyPage = Page[Any]


def has_key(model: type[Any], lookup: str, key: Key) -> ColumnElement[bool]:
    """Return the condition for the row with this key. An invalid key matches no row."""
    if isinstance(key, str) and lookup != "id":
        has_lookup: ColumnElement[bool] = getattr(model, lookup) == key
        return false() if "\0" in key else has_lookup
    return has_id(model, str(key))


def has_id(model: type[Any], text: str) -> ColumnElement[bool]:
    """Return the condition for the row with this id. Any other text matches no row."""
    row_id = parse_row_id(text)
    if row_id is None:
        return false()
    is_row: ColumnElement[bool] = model.id == row_id
    return is_row


async def read_objects(crud: RowAccess, query: Paging) -> Page[Any]:
    """Return a page of rows with their annotations."""
    cursor = await _prepare(crud, query)
    rows = select_listed(crud, query, crud.readable())
    selected = rows.add_columns(*crud.definition.annotations.values())
    statement = list_statement(selected, count_listed(crud, query, rows), crud.ordering(query.sort), cursor)
    if crud.lists_trash(query):
        statement = ListStatement(*map(with_deleted, statement))

    async def execute(statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
        result: Result[*tuple[Any, ...]] = await crud.session.execute(statement, values)
        return result.all()

    listed = await _read_page(crud, execute, statement, query, cursor)
    items = [_set_annotations(crud, row) for row in listed.rows]
    return _make_page(query, listed, items, [row.id for row in items])


async def read_mappings(crud: RowAccess, query: Paging, names: Sequence[str]) -> Page[Any]:
    """Return a page of mappings with these names, by default those of a response."""
    cursor = await _prepare(crud, query)
    selection, statement = mapping_statement(crud, query, tuple(names or crud.serializer.names), cursor)
    listed = await _read_page(crud, partial(_fetch, crud, selection), statement, query, cursor)
    items = await selection.values(crud, listed.rows)
    return _make_page(query, listed, items, [row[0] for row in listed.rows])


async def read_row(crud: RowAccess, query: Select[Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the values of one row by name.

    Raises:
        NotFound: No row matches the query.
    """
    selection = Selection(crud, names or crud.serializer.names)
    result = require_found((await crud.session.execute(selection.select(query))).first())
    return (await selection.values(crud, [result]))[0]


async def load_row(crud: RowAccess, query: Select[Any]) -> Any:
    """Return one row with its annotations.

    Raises:
        NotFound: No row matches the query.
    """
    annotated = query.add_columns(*crud.definition.annotations.values())
    result = require_found((await crud.session.execute(annotated)).first())
    return _set_annotations(crud, result)


def _set_annotations(crud: RowAccess, result: Sequence[Any]) -> Any:
    row = result[0]
    for name, value in zip(crud.definition.annotations, result[1:], strict=False):
        object.__setattr__(row, name, value)  # annotations are not fields of the model
    return row


def select_rows(crud: RowAccess, query: Paging) -> Select[Any]:
    """Select all rows of a list in its order, without limits of a page and without annotations.

    Raises:
        Forbidden: The user may not list rows, or the trash.
        FieldErrors: A parameter belongs to a hidden field.
    """
    _check(crud, query)
    ordered = select_listed(crud, query, crud.readable()).order_by(*crud.ordering(query.sort))
    return with_deleted(ordered) if crud.lists_trash(query) else ordered


async def _prepare(crud: RowAccess, query: Paging) -> Cursor | None:
    """Check a query, search its words in the search index, and return the row at which the page begins.

    Raises:
        Forbidden: The user may not list rows, or the trash.
        FieldErrors: A parameter belongs to a hidden field, or there is no such row.
    """
    _check(crud, query)
    if crud.search and (words := getattr(query, "q", "")):
        # Projects override `conditions(query)`, so the conditions of the index are not another argument of it.
        crud.narrowed_search = words, await narrow_search(crud.session, crud.searched_attributes(), words, crud.visible)
    return await _find_cursor(crud, query) if getattr(query, CURSOR, "") else None


def _check(crud: RowAccess, query: Paging) -> None:
    """Check permissions, and refuse parameters that belong to a hidden field, with the messages for unknown ones."""
    crud.require("list")
    if crud.lists_trash(query):
        crud.require("delete")
    errors = {name: str(UNKNOWN_NAME) for name in query.model_fields_set - PAGING if crud.hides_parameter(name)}
    if query.sort and crud.hides(query.sort):
        errors["sort"] = str(INVALID_CHOICE)
    if errors:
        raise FieldErrors(errors)


async def _find_cursor(crud: RowAccess, query: Any) -> Cursor:
    """Return the cursor of a query.

    Raises:
        FieldErrors: The user may not read its row.
    """
    terms = [*map(OrderTerm.parse, crud.ordering(query.sort))]
    if getattr(terms[-1].expression, "key", "") != "id":  # a method of the project may leave it out
        terms.append(OrderTerm(crud.model.id, is_descending=True))
    if position := Position.parse(query.cursor):
        row = select(crud.model).where(crud.readable(), has_id(crud.model, position.key))
        row = with_deleted(row) if crud.lists_trash(query) else row
        if cursor := await find_cursor(crud.session, position, terms, row):
            return cursor
    raise FieldErrors({CURSOR: WRONG_CURSOR})


async def _read_page(
    crud: RowAccess, execute: Execute, statement: ListStatement, query: Paging, cursor: Cursor | None
) -> ListedRows:
    def keys() -> Select[Any]:
        keys = select_key(select_listed(crud, query, crud.readable()), crud.model.id)
        return with_deleted(keys) if crud.lists_trash(query) else hide_deleted(keys)

    rows = CountedRows(keys, list_identity(crud, query))
    return await read_page(crud.session, execute, statement, rows, size=query.size, page=query.page, cursor=cursor)


async def _fetch(crud: RowAccess, selection: Selection, statement: Select[Any], limits: Mapping[str, Any]) -> Rows:
    """Return the result rows of a list. Without links, no other statement needs the same snapshot."""
    values = {**limits, "owner": crud.row_permissions.owner_id or 0}
    session = crud.session
    if not selection.links and isinstance(session, Session):
        return await session.fetch(statement, values)
    result: Result[*tuple[Any, ...]] = await (await session.connection()).execute(statement, values)
    return result.all()


def _make_page(query: Paging, listed: ListedRows, items: Sequence[Any], ids: Sequence[int]) -> Page[Any]:
    """Return the page of a list. Pages of large lists name their neighbours."""
    page = AnyPage(
        items=items,
        total=listed.count.number,
        page=query.page,
        pages=page_count(listed.count.number, query.size),
        is_estimate=not listed.count.is_exact,
    )
    if items and listed.uses_cursors and hasattr(query, CURSOR):
        page.next_cursor = f"after:{ids[-1]}" if listed.has_next else ""
        page.previous_cursor = f"before:{ids[0]}" if listed.has_previous else ""
    return page
