"""Queries of a view: one row by its key, and a page of rows for the query parameters of a list."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

from sqladmin.pagination import Pagination
from sqlalchemy import ColumnElement, Result, Select, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.admin.forms.foreign_keys import parse_id
from opportune.admin.lists.actions import key_of
from opportune.admin.lists.active_filters import refuse_unknown_parameters
from opportune.admin.lists.filters import apply_filter
from opportune.admin.lists.positions import POSITION, ListPage
from opportune.admin.persistence.transactions import PersistenceMixin
from opportune.db.models.model import MAX_ID
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.keyset import OrderTerm, Position
from opportune.db.queries.listing import CountedRows, Cursor, ListedRows, find_cursor, list_statement, read_page
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path
from opportune.db.queries.row_count import count_listed_rows, count_table
from opportune.i18n import current_language
from opportune.pagination import MAX_NUMBERED_PAGES, select_key

narrowed_search: ContextVar[tuple[str, Sequence[ColumnElement[bool]]]] = ContextVar("narrowed_search", default=("", ()))
"""The words of the current search and a condition that limits it, from the search index of the model."""

PAGE_PARAMETERS = frozenset({"page", "pageSize", POSITION, "sort", "sortBy"})
"""Query parameters that do not change which rows a list has."""


def sort_by(statement: Select[Any], terms: Iterable[OrderTerm]) -> Select[Any]:
    return statement.order_by(*(term.ordered for term in terms))


class RowQueriesMixin(PersistenceMixin):
    """The queries of `AdminView`."""

    def select_by_identifier(self, identifier: str) -> Select[Any]:
        try:
            if len(self.pk_columns) == 1 and self.pk_columns[0].type.python_type is int:
                parse_id(identifier)
            return super().select_by_identifier(identifier)
        except ValueError:
            raise HTTPException(404) from None

    def form_details_query(self, request: Request) -> Select[Any]:
        return self._row_in_url(request).options(*self.loading(self.details_names))

    def form_edit_query(self, request: Request) -> Select[Any]:
        return self._row_in_url(request).where(*self.writable(request)).options(*self.loading(()))

    def _row_in_url(self, request: Request) -> Select[Any]:
        """Select the row whose key is in the URL, if `list_query` contains it."""
        has_key: Any = self.select_by_identifier(request.path_params["pk"]).whereclause
        return self.list_query(request).where(has_key)

    def search_query(self, stmt: Select[Any], term: str) -> Select[Any]:
        words, narrowed = narrowed_search.get()
        return stmt.where(*matching_words(self._searched_paths, term), *(narrowed if words == term else ()))

    async def narrow_search(self, session: AsyncSession, term: str) -> None:
        """Find the words in the search index of the model, if there is one. It limits the next `search_query`."""
        narrowed_search.set((term, await narrow_search(session, self._searched_paths, term)))

    @property
    def _searched_paths(self) -> Sequence[AttributePath]:
        return [parse_path(self.mapper, path) for path in self.search_names]

    def listed_names(self, request: Request) -> Sequence[str]:
        """Return the columns that the list shows for this request."""
        return self.list_names

    def sortable_names(self, request: Request) -> Sequence[str]:
        """Return the paths by which the user may sort."""
        return self.sort_names

    def sort_query(self, stmt: Select[Any], request: Request) -> Select[Any]:
        """Sort by the `sortBy` of the URL or by default, then by primary key, so that pages do not overlap."""
        return sort_by(stmt, self._order_terms(request))

    def _order_terms(self, request: Request) -> list[OrderTerm]:
        sort = request.query_params.get("sortBy", "")
        if sort and sort not in self.sortable_names(request):
            raise HTTPException(400, "Invalid sortBy parameter")
        orders = [(sort, request.query_params.get("sort") == "desc")]
        if not sort:
            default = [(self.name_of(name), is_descending) for name, is_descending in self.default_sort()]
            orders = [order for order in default if not self.hides(order[0])] or self._newest_first()
        names, last_is_descending = {name for name, _ in orders}, orders[-1][1]
        terms = [
            OrderTerm(parse_path(self.mapper, name).to_title().value(), is_descending) for name, is_descending in orders
        ]
        return [*terms, *(OrderTerm(key, last_is_descending) for key in self.pk_columns if key.key not in names)]

    def default_sort(self) -> list[tuple[str, bool]]:
        """Return the `column_default_sort` of the view, else the newest rows first."""
        return super().default_sort() if self.column_default_sort else self._newest_first()

    def _newest_first(self) -> list[tuple[str, bool]]:
        return [(key.key, True) for key in self.pk_columns]

    async def filtered_query(self, request: Request) -> Select[Any]:
        """Select the rows that match the search and filters of the URL.

        Raises:
            RequestValidationError: The list does not have one of the parameters.
        """
        refuse_unknown_parameters(request, self)
        statement, query = self.list_query(request), request.query_params
        for filter_ in self.get_filters():
            statement = await apply_filter(statement, filter_, query, self.model)
        hierarchy = self.get_date_hierarchy()
        if hierarchy and (condition := hierarchy.condition(query)) is not None:
            statement = statement.where(condition)
        if not (term := query.get("search")):
            return statement
        async with self.session_maker() as session:
            await self.narrow_search(session, term)
        return self.search_query(statement, term)

    async def list(self, request: Request) -> Pagination:
        page = self.validate_page_number(request.query_params.get("page"), 1)
        size = self.validate_page_number(request.query_params.get("pageSize"), self.page_size)
        size = min(max(size, 1), max(self.page_size_options))
        page = min(max(page, 1), MAX_ID // size)  # databases limit the offset
        rows, columns = await self.filtered_query(request), self.listed_names(request)
        async with self.session_maker() as session:
            count = self._count_statement(session, rows)
            loaded = rows.options(*self.loading(columns))
            result = await self._read_page(session, request, loaded, count, page, size)
        for name in self.references.keys() & set(columns):
            await self.name_references(request, name, result.rows)
        return result

    def _count_statement(self, session: AsyncSession, rows: Select[Any]) -> Select[int]:
        table: Select[Any] = select(self.model)
        is_table = rows.compare(table) or rows.compare(table.where(true()))
        count = count_table(session, self.model) if is_table else None
        return count_listed_rows(rows, self.pk_columns[0]) if count is None else count

    async def _read_page(
        self, session: AsyncSession, request: Request, rows: Select[Any], count: Select[int], page: int, size: int
    ) -> ListPage:
        """Read a page with a number, which is at most the last one, or a page of a large list beside a row."""

        async def execute(statement: Select[Any], limits: Mapping[str, Any]) -> Sequence[Any]:
            result: Result[Any] = await session.execute(statement, limits)
            return result.unique().all()

        async def read(page: int, cursor: Cursor | None = None) -> ListedRows:
            selected = rows if cursor else self.sort_query(rows, request)
            statement = list_statement(selected, count, (), cursor)
            counted_rows = CountedRows(partial(select_key, rows, key), self._rows_identity(request))
            return await read_page(session, execute, statement, counted_rows, size=size, page=page, cursor=cursor)

        key, position = self.pk_columns[0], Position.parse(request.query_params.get(POSITION, ""))
        listed = await read(1, await self._find_cursor(session, request, position)) if position else None
        if listed is None or not listed.count.is_large:  # pages of small lists have numbers
            position, listed = None, await read(page)
            last = MAX_NUMBERED_PAGES if listed.count.is_large else Pagination.max_page(listed.count.number, size)
            if page > last:
                page, listed = last, await read(last)
        found, total = [row[0] for row in listed.rows], listed.count
        if not listed.is_large:
            return ListPage(found, page, size, total.number, total=total)
        result = ListPage(found, 1 if position else page, size, MAX_NUMBERED_PAGES * size, total=total)
        result.position = str(bool(position) or "")
        self._link_pages(request, result, listed, by_position=position is not None)
        return result

    def _rows_identity(self, request: Request) -> Hashable:
        """Return a value that is equal for all pages and orders of one list of this user."""
        query = sorted(item for item in request.query_params.multi_items() if item[0] not in PAGE_PARAMETERS)
        return type(self), request.state.user.id, current_language.get(), *query

    def _link_pages(self, request: Request, page: ListPage, listed: ListedRows, *, by_position: bool) -> None:
        """Set the URLs of the neighbouring pages."""
        url = request.url.remove_query_params(["page", POSITION])
        if not by_position and page.page > 1:
            page.previous_url = url.include_query_params(page=page.page - 1)
        elif page.rows and listed.has_previous:
            page.previous_url = url.include_query_params(**{POSITION: f"before:{key_of(page.rows[0])}"})
        if not page.rows or not listed.has_next:
            return
        if not by_position and page.page < MAX_NUMBERED_PAGES:
            page.next_url = url.include_query_params(page=page.page + 1)
        else:
            page.next_url = url.include_query_params(**{POSITION: f"after:{key_of(page.rows[-1])}"})

    async def _find_cursor(self, session: AsyncSession, request: Request, position: Position) -> Cursor:
        has_key: Any = self.select_by_identifier(position.key).whereclause if position.key else true()
        row: Select[Any] = select(self.model).where(has_key)
        cursor = await find_cursor(session, position, self._order_terms(request), row)
        if cursor is None:
            raise HTTPException(404, "The row at which this page begins was deleted.")
        return cursor
