"""Queries of a view: one row by its key, and a page of rows for the query parameters of a list."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqladmin.pagination import Pagination
from sqlalchemy import ColumnElement, Result, Select, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.admin.forms.foreign_keys import parse_id
from opportune.admin.lists.actions import key_of
from opportune.admin.lists.columns import column_choices, listed_columns
from opportune.admin.lists.filters import apply_filter
from opportune.admin.lists.parameters import POSITION, refuse_unknown_parameters
from opportune.admin.persistence.transactions import PersistenceMixin
from opportune.db.models.columns import is_json, natural_key_of
from opportune.db.models.model import MAX_ID
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.keyset import OrderTerm, Position
from opportune.db.queries.listing import CountedRows, Cursor, ListedRows, find_cursor, list_statement, read_page
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path, relation_of_column
from opportune.db.queries.row_count import RowCount, count_listed_rows
from opportune.i18n import current_language
from opportune.pagination import MAX_NUMBERED_PAGES, select_key

narrowed_search: ContextVar[tuple[str, Sequence[ColumnElement[bool]]]] = ContextVar("narrowed_search", default=("", ()))
"""The words of the current search and a condition that limits it, from the search index of the model."""

PAGE_PARAMETERS = frozenset({"page", "pageSize", POSITION, "sort", "sortBy"})
"""Query parameters that do not change which rows a list has."""


@dataclass
class ListPage(Pagination):
    """A page of rows with the number of all rows."""

    total: RowCount = field(default_factory=lambda: RowCount(0))
    previous_url: URL | None = None
    next_url: URL | None = None
    """URLs of the neighbouring pages of a large list."""
    has_number: bool = True
    """Whether the page has a number. Other pages begin or end at a row of a large list."""


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
        return listed_columns(request, self)

    def sortable_names(self, request: Request) -> list[str]:
        """Return the paths by which the user may sort."""
        if self.column_sortable_list:
            return self.sort_names
        return [*self.sort_names, *self.sortable_paths(column_choices(request, self))]

    def sortable_paths(self, names: Sequence[str]) -> Iterator[str]:
        """Yield the columns that can be sorted, and paths to the titles of rows that foreign keys refer to."""
        columns = self.mapper.columns
        for name in names:
            if name in columns and not is_json(columns[name]):  # JSON values have no order
                yield from dict.fromkeys((self.sort_path(name), name))

    def sort_path(self, name: str) -> str:
        """Return the path by which a column's header sorts: the column, or the title of the row it refers to."""
        relation = relation_of_column(self.mapper, name) if name in self.mapper.columns else ""
        for path in self.sort_names:
            if path == name or (relation and path.startswith(f"{relation}.")):
                return path
        key = natural_key_of(self.mapper.relationships[relation].mapper.class_) if relation else ""
        return f"{relation}.{key}" if key else name

    def sort_query(self, stmt: Select[Any], request: Request) -> Select[Any]:
        """Sort by the `sortBy` of the URL or by default, then by primary key, so that pages do not overlap."""
        return sort_by(stmt, self.order_terms(request))

    def order_terms(self, request: Request) -> list[OrderTerm]:
        orders = self._requested_order(request) or self._visible_default_order()
        paths = [(parse_path(self.mapper, name).to_title(), is_descending) for name, is_descending in orders]
        terms = [OrderTerm(path.value(), is_descending) for path, is_descending in paths]
        names, last_is_descending = {name for name, _ in orders}, orders[-1][1]
        return [*terms, *(OrderTerm(key, last_is_descending) for key in self.pk_columns if key.key not in names)]

    def _requested_order(self, request: Request) -> list[tuple[str, bool]]:
        sort = request.query_params.get("sortBy", "")
        if sort and sort not in self.sortable_names(request):
            raise HTTPException(400, "Invalid sortBy parameter")
        return [(sort, request.query_params.get("sort") == "desc")] if sort else []

    def _visible_default_order(self) -> list[tuple[str, bool]]:
        orders = [(self.name_of(name), is_descending) for name, is_descending in self.default_sort()]
        return [(name, is_descending) for name, is_descending in orders if not self.hides(name)] or self._newest_first()

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
            result = await PageReader(self, session, request, loaded, count, size).read(page)
        for name in self.references.keys() & set(columns):
            await self.name_references(request, name, result.rows)
        return result

    def _count_statement(self, session: AsyncSession, rows: Select[Any]) -> Select[int]:
        table: Select[Any] = select(self.model)
        is_table = rows.compare(table) or rows.compare(table.where(true()))
        return count_listed_rows(session, rows, self.pk_columns[0], self.model if is_table else None)

    def rows_identity(self, request: Request) -> Hashable:
        """Return a value that is equal for all pages and orders of one list of this user."""
        query = sorted(item for item in request.query_params.multi_items() if item[0] not in PAGE_PARAMETERS)
        return type(self), request.state.user.id, current_language.get(), *query


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
        if position := Position.parse(self.request.query_params.get(POSITION, "")):
            listed = await self._read_rows(1, await self._find_cursor(position))
            if listed.count.is_large:  # pages of small lists have numbers
                return self._large_page(listed, None)
        listed = await self._read_rows(number)
        last = MAX_NUMBERED_PAGES if listed.count.is_large else Pagination.max_page(listed.count.number, self.size)
        if number > last:
            number, listed = last, await self._read_rows(last)
        if listed.is_large:
            return self._large_page(listed, number)
        return ListPage(_objects_of(listed), number, self.size, listed.count.number, total=listed.count)

    async def _read_rows(self, number: int, cursor: Cursor | None = None) -> ListedRows:
        selected = self.rows if cursor else self.view.sort_query(self.rows, self.request)
        statement = list_statement(selected, self.count, (), cursor)
        keys = partial(select_key, self.rows, self.view.pk_columns[0])
        counted_rows = CountedRows(keys, self.view.rows_identity(self.request))
        return await read_page(
            self.session, self._execute, statement, counted_rows, size=self.size, page=number, cursor=cursor
        )

    async def _execute(self, statement: Select[Any], limits: Mapping[str, Any]) -> Sequence[Any]:
        result: Result[Any] = await self.session.execute(statement, limits)
        return result.unique().all()

    async def _find_cursor(self, position: Position) -> Cursor:
        view = self.view
        has_key: Any = view.select_by_identifier(position.key).whereclause if position.key else true()
        row: Select[Any] = select(view.model).where(has_key)
        cursor = await find_cursor(self.session, position, view.order_terms(self.request), row)
        if cursor is None:
            raise HTTPException(404, "The row at which this page begins was deleted.")
        return cursor

    def _large_page(self, listed: ListedRows, number: int | None) -> ListPage:
        """Return a page of a large list, with the URLs of its neighbours. A page at a position has no number."""
        url, rows = self.request.url.remove_query_params(["page", POSITION]), _objects_of(listed)
        page = ListPage(rows, number or 1, self.size, MAX_NUMBERED_PAGES * self.size, total=listed.count)
        page.has_number = number is not None
        if number and number > 1:
            page.previous_url = url.include_query_params(page=number - 1)
        elif rows and listed.has_previous:
            page.previous_url = url.include_query_params(**{POSITION: f"before:{key_of(rows[0])}"})
        if not rows or not listed.has_next:
            return page
        if number and number < MAX_NUMBERED_PAGES:
            page.next_url = url.include_query_params(page=number + 1)
        else:
            page.next_url = url.include_query_params(**{POSITION: f"after:{key_of(rows[-1])}"})
        return page


def _objects_of(listed: ListedRows) -> list[Any]:
    """Return the objects. A second value of each row is the number of all rows."""
    return [row[0] for row in listed.rows]
