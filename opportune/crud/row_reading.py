"""Reads the rows of a data layer: pages of a list and single rows, as objects or as mappings."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Result, Select, false, select

from opportune.crud import list_statements
from opportune.crud.query_schema import CURSOR
from opportune.crud.selection import Selection
from opportune.crud.statements import PAGING, RowStatements
from opportune.db.models.row_ids import parse_row_id
from opportune.db.queries import listing
from opportune.db.sessions.session import Rows, Session
from opportune.db.sessions.trash import hide_deleted, with_deleted
from opportune.errors import FieldErrors, require_found
from opportune.pagination import Page, Paging, page_count, select_key
from opportune.web.forms.error_messages import INVALID_CHOICE, UNKNOWN_NAME

AnyPage = Page[Any]
M = TypeVar("M")


def has_id(model: type[Any], text: str) -> ColumnElement[bool]:
    """Return the condition for the row with this id. Any other text matches no row."""
    row_id = parse_row_id(text)
    if row_id is None:
        return false()
    is_row: ColumnElement[bool] = model.id == row_id
    return is_row


class ListReader:
    """Reads the rows of a data layer that a query selects."""

    def __init__(self, crud: RowStatements, query: Paging) -> None:
        self.crud = crud
        self.query = query

    async def read_objects(self) -> Page[Any]:
        """Return a page of rows with their annotations."""
        cursor = await self._prepare()
        rows = self._select_readable()
        selected = rows.add_columns(*self.crud.definition.annotations.values())
        count = list_statements.count_listed(self.crud, self.query, rows)
        statement = listing.list_statement(selected, count, self.crud.ordering(self.query.sort), cursor)
        statement = listing.ListStatement(*map(self._within_trash, statement))

        async def execute(statement: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
            result: Result[*tuple[Any, ...]] = await self.crud.session.execute(statement, values)
            return result.all()

        listed = await self._read_page(execute, statement, cursor)
        items = [_set_annotations(self.crud, row) for row in listed.rows]
        return self._make_page(listed, items, [row.id for row in items])

    async def read_mappings(self, names: Sequence[str]) -> Page[Any]:
        """Return a page of mappings with these names, by default those of a response."""
        cursor = await self._prepare()
        names = tuple(names or self.crud.serializer.names)
        selection, statement = list_statements.mapping_statement(self.crud, self.query, names, cursor)
        listed = await self._read_page(partial(self._fetch, selection), statement, cursor)
        items = await selection.values(self.crud, listed.rows)
        return self._make_page(listed, items, [row[0] for row in listed.rows])

    def select(self) -> Select[Any]:
        """Select all rows in the order of the list, without limits of a page and without annotations.

        Raises:
            Forbidden: The user may not list rows, or the trash.
            FieldErrors: A parameter belongs to a hidden field.
        """
        self._require_permitted()
        return self._within_trash(self._select_readable().order_by(*self.crud.ordering(self.query.sort)))

    def _select_readable(self) -> Select[Any]:
        return list_statements.select_listed(self.crud, self.query, self.crud.readable())

    def _within_trash(self, statement: Select[Any]) -> Select[Any]:
        """Return a statement that also finds rows in the trash if the query lists them."""
        return with_deleted(statement) if self.crud.lists_trash(self.query) else statement

    async def _prepare(self) -> listing.Cursor | None:
        """Check the query, search its words in the search index, and return the row at which the page begins.

        Raises:
            Forbidden: The user may not list rows, or the trash.
            FieldErrors: A parameter belongs to a hidden field, or there is no such row.
        """
        self._require_permitted()
        await self.crud.narrow_search(self.query)
        cursor = getattr(self.query, CURSOR, "")
        return await self._find_cursor(cursor) if cursor else None

    def _require_permitted(self) -> None:
        """Check permissions, and refuse parameters of hidden fields, with the messages for unknown ones."""
        crud = self.crud
        crud.require("list")
        if crud.lists_trash(self.query):
            crud.require("delete")
        names = self.query.model_fields_set - PAGING
        errors = {name: str(UNKNOWN_NAME) for name in names if crud.hides_parameter(name)}
        if self.query.sort and crud.hides(self.query.sort):
            errors["sort"] = str(INVALID_CHOICE)
        if errors:
            raise FieldErrors(errors)

    async def _find_cursor(self, text: str) -> listing.Cursor:
        """Return the cursor of a query.

        Raises:
            FieldErrors: The user may not read its row.
        """
        crud = self.crud
        terms = [*map(listing.OrderTerm.parse, crud.ordering(self.query.sort))]
        if getattr(terms[-1].expression, "key", "") != "id":  # a method of the project may leave it out
            terms.append(listing.OrderTerm(crud.model.id, is_descending=True))
        position = listing.Position.parse(CURSOR, text)
        row = select(crud.model).where(crud.readable(), has_id(crud.model, position.key))
        return await listing.find_cursor(crud.session, position, terms, self._within_trash(row))

    async def _read_page(
        self, execute: listing.Execute, statement: listing.ListStatement, cursor: listing.Cursor | None
    ) -> listing.ListedRows:
        crud = self.crud
        query = self.query

        def select_keys() -> Select[Any]:
            keys = select_key(self._select_readable(), crud.model.id)
            return with_deleted(keys) if crud.lists_trash(query) else hide_deleted(keys)

        rows = listing.CountedRows(select_keys, list_statements.list_identity(crud, query))
        return await listing.read_page(
            crud.session, execute, statement, rows, size=query.size, page=query.page, cursor=cursor
        )

    async def _fetch(self, selection: Selection, statement: Select[Any], limits: Mapping[str, Any]) -> Rows:
        """Return the result rows of a list. Without links, no other statement needs the same snapshot."""
        values = {**limits, list_statements.OWNER_PARAMETER: self.crud.row_permissions.owner_id or 0}
        session = self.crud.session
        if not selection.links and isinstance(session, Session):
            return await session.fetch(statement, values)
        result: Result[*tuple[Any, ...]] = await (await session.connection()).execute(statement, values)
        return result.all()

    def _make_page(self, listed: listing.ListedRows, items: Sequence[Any], ids: Sequence[int]) -> Page[Any]:
        """Return the page of the list. Pages of large lists name their neighbours."""
        page = AnyPage(
            items=items,
            total=listed.count.number,
            page=self.query.page,
            pages=page_count(listed.count.number, self.query.size),
            is_estimate=not listed.count.is_exact,
        )
        if items and listed.uses_cursors and hasattr(self.query, CURSOR):
            page.next_cursor = f"after:{ids[-1]}" if listed.has_next else ""
            page.previous_cursor = f"before:{ids[0]}" if listed.has_previous else ""
        return page


async def read_row(crud: RowStatements, query: Select[Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the values of one row by name.

    Raises:
        NotFound: No row matches the query.
    """
    selection = Selection(crud, names or crud.serializer.names)
    result = require_found((await crud.session.execute(selection.select(query))).first())
    return (await selection.values(crud, [result]))[0]


async def load_row(crud: RowStatements, query: Select[M]) -> M:
    """Return one row with its annotations.

    Raises:
        NotFound: No row matches the query.
    """
    annotated = query.add_columns(*crud.definition.annotations.values())
    row: M = _set_annotations(crud, require_found((await crud.session.execute(annotated)).first()))
    return row


def _set_annotations(crud: RowStatements, result: Sequence[Any]) -> Any:
    row = result[0]
    for name, value in zip(crud.definition.annotations, result[1:], strict=False):
        object.__setattr__(row, name, value)  # annotations are not fields of the model
    return row
