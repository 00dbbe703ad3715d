"""Queries of a view: one row by its key, and a page of rows for the query parameters of a list."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqladmin.pagination import Pagination
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.admin.forms.foreign_keys import parse_id
from opportune.admin.lists.actions import key_of
from opportune.admin.lists.active_filters import refuse_unknown_parameters
from opportune.admin.lists.filters import apply_filter
from opportune.admin.lists.positions import POSITION, ListPage
from opportune.admin.persistence.transactions import PersistenceMixin
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.keyset import OrderTerm, Position, comes_after, reverse
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path
from opportune.db.queries.row_count import RowCount, read_row_count
from opportune.pagination import MAX_NUMBERED_PAGES, select_key


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
        return self._row_in_address(request).options(*self.loading(self.details_names))

    def form_edit_query(self, request: Request) -> Select[Any]:
        return self._row_in_address(request).where(*self.writable(request)).options(*self.loading(()))

    def _row_in_address(self, request: Request) -> Select[Any]:
        """Select the row whose key is in the address, if `list_query` contains it."""
        has_key: Any = self.select_by_identifier(request.path_params["pk"]).whereclause
        return self.list_query(request).where(has_key)

    def search_query(self, stmt: Select[Any], term: str) -> Select[Any]:
        return stmt.where(*matching_words(self._searched_paths, term))

    async def narrow_search(self, session: AsyncSession, term: str) -> Sequence[ColumnElement[bool]]:
        """Return a condition for `search_query` that uses the search index of the model, if there is one."""
        has_default_search = type(self).search_query is RowQueriesMixin.search_query
        return await narrow_search(session, self._searched_paths, term) if has_default_search else ()

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
        """Sort by the `sortBy` of the address or by default, then by primary key, so that pages do not overlap."""
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
        """Select the rows that match the search and filters of the address.

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
            narrowed = await self.narrow_search(session, term)
        return self.search_query(statement.where(*narrowed), term)

    async def list(self, request: Request) -> Pagination:
        page = self.validate_page_number(request.query_params.get("page"), 1)
        size = self.validate_page_number(request.query_params.get("pageSize"), self.page_size)
        size = min(max(size, 1), max(self.page_size_options))
        statement, columns = await self.filtered_query(request), self.listed_names(request)
        statement = statement.options(*self.loading(columns))
        ordered = self.sort_query(statement, request)
        async with self.session_maker() as session:
            total = await read_row_count(session, select_key(statement, self.pk_columns[0]))
            if total.is_large:
                result = await self._read_large_page(session, request, statement, page, size, total)
            else:
                page = min(max(page, 1), Pagination.max_page(total.number, size))
                rows = list((await session.scalars(ordered.offset((page - 1) * size).limit(size))).unique())
                result = ListPage(rows=rows, page=page, page_size=size, count=total.number, total=total)
        for name in self.references.keys() & set(columns):
            await self.name_references(request, name, result.rows)
        return result

    async def _read_large_page(
        self, session: AsyncSession, request: Request, rows: Select[Any], page: int, size: int, total: RowCount
    ) -> ListPage:
        """Read a page with a number, up to `MAX_NUMBERED_PAGES`, or a page beside a row."""
        position = Position.parse(request.query_params.get(POSITION, ""))
        terms = self._order_terms(request)
        page = 1 if position else min(max(page, 1), MAX_NUMBERED_PAGES)
        statement = sort_by(rows, reverse(terms) if position and position.is_before else terms)
        if position and position.key:
            statement = statement.where(await self._beside(session, position, terms))
        elif not position:
            statement = statement.offset((page - 1) * size)
        found = list((await session.scalars(statement.limit(size + 1))).unique())
        has_more, found = len(found) > size, found[:size]
        if position and position.is_before:
            found.reverse()
        result = ListPage(found, page, size, MAX_NUMBERED_PAGES * size, total=total, position=str(bool(position) or ""))
        self._link_pages(request, result, position, has_more=has_more)
        return result

    def _link_pages(self, request: Request, page: ListPage, position: Position | None, *, has_more: bool) -> None:
        """Set the URLs of the neighbouring pages."""
        url = request.url.remove_query_params(["page", POSITION])
        if position is None and page.page > 1:
            page.previous_url = url.include_query_params(page=page.page - 1)
        elif position and page.rows and (has_more or not position.is_before):
            page.previous_url = url.include_query_params(**{POSITION: f"before:{key_of(page.rows[0])}"})
        if not page.rows or not (position.key if position and position.is_before else has_more):
            return
        if position is None and page.page < MAX_NUMBERED_PAGES:
            page.next_url = url.include_query_params(page=page.page + 1)
        else:
            page.next_url = url.include_query_params(**{POSITION: f"after:{key_of(page.rows[-1])}"})

    async def _beside(
        self, session: AsyncSession, position: Position, terms: Sequence[OrderTerm]
    ) -> ColumnElement[bool]:
        """Return the condition for rows before or after the row of a position."""
        has_key: Any = self.select_by_identifier(position.key).whereclause
        values = (await session.execute(select(*(term.expression for term in terms)).where(has_key))).first()
        if values is None:
            raise HTTPException(404, "The row at which this page begins was deleted.")
        is_postgresql = session.get_bind().dialect.name == "postgresql"
        return comes_after(reverse(terms) if position.is_before else terms, values, is_postgresql=is_postgresql)
