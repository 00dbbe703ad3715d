"""Which rows a view of the admin reads: one by its number, and a page of those that the address asks for."""

from typing import Any

from sqladmin.pagination import Pagination
from sqlalchemy import Select, func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.admin.forms.foreign_keys import ForeignKeyLookup, parse_id
from opportune.admin.lists.filters import apply_filter
from opportune.admin.lists.parameters import refuse_unknown_parameters
from opportune.admin.persistence.transactions import PersistenceMixin
from opportune.db.matching import matching_words
from opportune.db.paths import parse_path


class RowQueriesMixin(PersistenceMixin):
    """What `AdminView` reads."""

    references: dict[str, ForeignKeyLookup]
    _filters: list[Any]

    def select_by_identifier(self, identifier: str) -> Select[Any]:
        try:
            if len(self.pk_columns) == 1 and self.pk_columns[0].type.python_type is int:
                parse_id(identifier)
            return super().select_by_identifier(identifier)
        except ValueError:
            raise HTTPException(404) from None

    def form_details_query(self, request: Request) -> Select[Any]:
        return self._one_listed(request).options(*self.loading(self.details_names))

    def form_edit_query(self, request: Request) -> Select[Any]:
        return self._one_listed(request).where(*self.writable(request))

    def _one_listed(self, request: Request) -> Select[Any]:
        """The row that the address names. What `list_query` leaves out has no pages of its own either."""
        is_named: Any = self.select_by_identifier(request.path_params["pk"]).whereclause
        return self.list_query(request).where(is_named)

    def count_query(self, request: Request) -> Select[Any]:
        return self._counting(self.list_query(request))

    def _counting(self, rows: Select[Any]) -> Select[Any]:
        """Not the sorted rows with all their columns, nor a column, as SQLAdmin does: both take many times as long."""
        return select(func.count()).select_from(rows.with_only_columns(self.pk_columns[0]).order_by(None).subquery())

    def search_query(self, stmt: Select[Any], term: str) -> Select[Any]:
        return stmt.where(*matching_words([parse_path(self.mapper, path) for path in self.search_names], term))

    def sort_query(self, stmt: Select[Any], request: Request) -> Select[Any]:
        """As the address asks, or by default. Rows that are equal in it have an order too, or pages would mix them."""
        wish = request.query_params.get("sortBy", "")
        if wish and wish not in self.sort_names:
            raise HTTPException(400, "Invalid sortBy parameter")
        is_descending = request.query_params.get("sort") == "desc"
        default = ((self.name_of(name), last) for name, last in self.default_sort())
        wishes = [(wish, is_descending)] if wish else [each for each in default if not self.hides(each[0])]
        wishes = wishes or [(key.key, True) for key in self.pk_columns]
        values = [(parse_path(self.mapper, name).to_title().value(), is_descending) for name, is_descending in wishes]
        named = {name for name, _ in wishes}
        values += [(key, wishes[-1][1]) for key in self.pk_columns if key.key not in named]
        return stmt.order_by(*(value.desc() if is_descending else value.asc() for value, is_descending in values))

    def default_sort(self) -> list[tuple[str, bool]]:
        """The newest first, unless the view says otherwise."""
        return super().default_sort() if self.column_default_sort else [(key.key, True) for key in self.pk_columns]

    async def filtered_query(self, request: Request) -> Select[Any]:
        """The rows that the address asks for: its search and filters.

        Raises:
            RequestValidationError: the list does not have one of its parameters.
        """
        refuse_unknown_parameters(request, self)
        statement, asked = self.list_query(request), request.query_params
        for chosen in self.get_filters():
            statement = await apply_filter(statement, chosen, asked, self.model)
        return self.search_query(statement, asked["search"]) if asked.get("search") else statement

    async def list(self, request: Request) -> Pagination:
        page = self.validate_page_number(request.query_params.get("page"), 1)
        size = self.validate_page_number(request.query_params.get("pageSize"), self.page_size)
        size = min(max(size, 1), max(self.page_size_options))
        statement = await self.filtered_query(request)
        count = await self.count(request, self._counting(statement))
        page = min(max(page, 1), Pagination.max_page(count, size))
        statement = self.sort_query(statement, request).options(*self.loading(self.list_names))
        rows = await self.fetch_rows(statement.limit(size).offset((page - 1) * size))
        for name in self.references.keys() & set(self.list_names):
            await self.name_references(request, name, rows)
        return Pagination(rows=rows, page=page, page_size=size, count=count)
