"""Queries of a view: one row by its key, and a page of rows for the query parameters of a list."""

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqladmin.pagination import Pagination
from sqlalchemy import Result, Select, false, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.lists.columns import listed_columns
from opportune.admin.lists.order import order_terms
from opportune.admin.lists.parameters import POSITION, filtered_query, read_number, search_conditions, url_with
from opportune.admin.lists.row_keys import key_of, match_primary_keys
from opportune.admin.row_writer import PersistenceMixin
from opportune.db.models.row_ids import MAX_ID
from opportune.db.queries import listing
from opportune.db.queries.row_count import RowCount, count_listed_rows
from opportune.i18n import current_language
from opportune.pagination import MAX_NUMBERED_PAGES, select_key

PAGE_PARAMETERS = frozenset({"page", "pageSize", POSITION, "sort", "sortBy"})
"""Query parameters that do not change which rows a list has."""


@dataclass
class ListPage(Pagination):
    """A page of rows with the number of all rows."""

    total: RowCount = field(default_factory=lambda: RowCount(0))
    previous_url: str = ""
    next_url: str = ""
    """URLs of the neighbouring pages, which only large lists link. Others link numbers of pages."""
    has_number: bool = True
    """Whether the page has a number. Other pages begin or end at a row of a large list."""

    def add_pagination_urls(self, base_url: URL) -> None:
        if not self.total.is_large:
            super().add_pagination_urls(base_url)


class RowQueriesMixin(PersistenceMixin):
    def form_details_query(self, request: Request) -> Select[Any]:
        return self._row_in_url(request).options(*self.queries.loading(self.names.in_details))

    def form_edit_query(self, request: Request) -> Select[Any]:
        return self._row_in_url(request).where(*self.rules.writable(request)).options(*self.queries.loading(()))

    def _row_in_url(self, request: Request) -> Select[Any]:
        """Select the row whose key is in the URL, if `list_query` contains it."""
        return self.list_query(request).where(match_primary_keys(self, [request.path_params["pk"]]))

    def search_query(self, stmt: Select[Any], term: str) -> Select[Any]:
        return stmt.where(*search_conditions(self, term))

    def sort_query(self, stmt: Select[Any], request: Request) -> Select[Any]:
        return stmt.order_by(*(term.ordered for term in order_terms(request, self)))

    async def list(self, request: Request) -> Pagination:
        rows = await filtered_query(request, self)
        size = min(read_number(request, "pageSize", self.page_size), max(self.page_size_options))
        page = min(read_number(request, "page", 1), MAX_ID // size)  # databases limit the offset
        columns = listed_columns(request, self)
        async with self.session_maker() as session:
            count = self._count_statement(session, rows)
            loaded = rows.options(*self.queries.loading(columns))
            result = await PageReader(self, session, request, loaded, count, size).read(page)
        await load_references(request, self, columns, result.rows)
        return result

    def _count_statement(self, session: AsyncSession, rows: Select[Any]) -> Select[int]:
        table: Select[Any] = select(self.model)
        is_table = rows.compare(table) or rows.compare(table.where(true()))
        return count_listed_rows(session, rows, self.pk_columns[0], self.model if is_table else None)


@dataclass(frozen=True)
class PageReader:
    """Reads a page of a list in the order of the request."""

    view: RowQueriesMixin
    session: AsyncSession
    request: Request
    rows: Select[Any]
    """All rows of the list, with what its cells need."""
    count: Select[int]
    """Statement that counts them."""
    size: int
    """Rows per page."""

    async def read(self, number: int) -> ListPage:
        """Read the page with this number, which is at most the last one, or the page of the parameter `position`."""
        if position := self.request.query_params.get(POSITION):
            listed = await self._read_rows(1, await self._find_cursor(position))
            if listed.count.is_large:  # pages of small lists have numbers
                return self._make_page(listed, None)
        listed = await self._read_rows(number)
        last = MAX_NUMBERED_PAGES if listed.count.is_large else Pagination.max_page(listed.count.number, self.size)
        if number > last:
            number = last
            listed = await self._read_rows(last)
        return self._make_page(listed, number)

    async def _read_rows(self, number: int, cursor: listing.Cursor | None = None) -> listing.ListedRows:
        selected = self.rows if cursor else self.view.sort_query(self.rows, self.request)
        statement = listing.list_statement(selected, self.count, (), cursor)
        keys = partial(select_key, self.rows, self.view.pk_columns[0])
        counted_rows = listing.CountedRows(keys, self._rows_identity())
        return await listing.read_page(
            self.session, self._execute, statement, counted_rows, size=self.size, page=number, cursor=cursor
        )

    async def _execute(self, statement: Select[Any], limits: Mapping[str, Any]) -> Sequence[Any]:
        result: Result[Any] = await self.session.execute(statement, limits)
        return result.unique().all()

    def _rows_identity(self) -> Hashable:
        """Return a value that is equal for all pages and orders of one list of this user."""
        query = sorted(item for item in self.request.query_params.multi_items() if item[0] not in PAGE_PARAMETERS)
        return type(self.view), self.request.state.user.id, current_language.get(), *query

    async def _find_cursor(self, text: str) -> listing.Cursor:
        position = listing.Position.parse(POSITION, text)
        listed = self.view.list_query(self.request)
        row = listed.where(false())
        with suppress(HTTPException):  # no row can have this key
            row = listed.where(match_primary_keys(self.view, [position.key]))
        return await listing.find_cursor(self.session, position, order_terms(self.request, self.view), row)

    def _make_page(self, listed: listing.ListedRows, number: int | None) -> ListPage:
        """Return a page with the URLs of its neighbours. A page at a position has no number."""
        rows = [row[0] for row in listed.rows]  # the second value is the number of all rows
        count = MAX_NUMBERED_PAGES * self.size if listed.uses_cursors else listed.count.number
        page = ListPage(rows, number or 1, self.size, count, total=listed.count, has_number=number is not None)
        url_of = partial(url_with, self.request)
        if number and number > 1:
            page.previous_url = url_of(page=number - 1)
        elif rows and listed.has_previous:
            page.previous_url = url_of(**{POSITION: f"before:{key_of(rows[0])}"})
        if number and number < MAX_NUMBERED_PAGES and listed.has_next:
            page.next_url = url_of(page=number + 1)
        elif rows and listed.has_next:
            page.next_url = url_of(**{POSITION: f"after:{key_of(rows[-1])}"})
        return page
