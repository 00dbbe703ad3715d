"""Queries for the rows of a model: pages of a list and single rows, as objects or as mappings."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    SQLColumnExpression,
    bindparam,
    false,
    func,
    select,
)
from sqlalchemy.orm import selectinload
from sqlalchemy.sql.elements import True_

from opportune.crud.cursors import Cursor, FoundRows, make_page, read_cursor
from opportune.crud.filters import CURSOR, LANGUAGES, TRASH_PARAMETER
from opportune.crud.options import CrudOptions, Key, M
from opportune.crud.reader import ListStatement, add_joins, fetch, select_names, values_of
from opportune.db.models.columns import is_text
from opportune.db.models.model import MAX_ID
from opportune.db.models.translated import current_text, is_translated
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path
from opportune.db.queries.row_count import count_few_rows
from opportune.db.sessions.trash import hide_deleted, with_deleted
from opportune.errors import FieldErrors, NotFound
from opportune.pagination import Page, Paging, order
from opportune.web.forms.error_messages import INVALID_CHOICE, UNKNOWN_NAME

PAGING = frozenset(Paging.model_fields)


class ReadOperations(CrudOptions[M]):
    """The reading methods of `Crud`. Each can be overridden."""

    _narrowed: tuple[str, Sequence[ColumnElement[bool]]] = ("", ())
    """The current search and a condition that limits it, from the search index of the model."""

    async def find(self, query: Paging | None = None) -> Page[M]:
        """Return a page of rows with their annotations, and the total number of rows.

        Args:
            query: The filters, order and page: `books.Filter(price__lt=10, sort="-price")`.

        Raises:
            Forbidden: The user may not list rows.
            FieldErrors: A filter or the order uses a hidden field, or a filter method refuses its value.
        """
        query = await self._prepare_query(query)
        cursor = await read_cursor(self, query)
        rows = self.query().where(self.readable(), *self.conditions(query))
        count = count_few_rows(rows, self.model.id)
        statement = rows.add_columns(*self.definition.annotations.values(), count.scalar_subquery())
        if cursor:
            statement = cursor.select_page(statement)
        else:
            statement = statement.order_by(*self.ordering(query.sort)).offset((query.page - 1) * query.size)
        if self.lists_trash(query):
            statement, count = with_deleted(statement), with_deleted(count)
        result = (await self.session.execute(statement.limit(query.size + 1))).all()
        counted = result[0][-1] if result else 0
        if not result and (cursor or query.page > 1):  # a page past the end has no row with the total
            counted = await self.session.scalar(count) or 0
        items = [self._set_annotations(row) for row in result]
        return await make_page(self, query, cursor, FoundRows(items, [row.id for row in items], counted))

    async def rows(self, query: Paging | None = None, names: Sequence[str] = ()) -> Page[dict[str, Any]]:
        """Return the page as mappings with these names, by default the names of a response. Do not load objects."""
        query = await self._prepare_query(query)
        cursor = await read_cursor(self, query)
        statement = self._cached_statement(query, tuple(names or self.serializer.names), cursor)
        offset = 0 if cursor else (query.page - 1) * query.size
        values = {"owner": self.owner_id or 0, "offset": offset, "limit": query.size + 1}
        is_single_query = not statement.selection.links
        result = await fetch(self.session, statement.page_statement, values, is_single_query=is_single_query)
        counted = result[0][-1] if result else 0
        if not result and (cursor or query.page > 1):
            counts = await fetch(self.session, statement.count_statement, values, is_single_query=is_single_query)
            counted = counts[0][0]
        items = await values_of(self, statement.selection, result)
        return await make_page(self, query, cursor, FoundRows(items, [row[0] for row in result], counted))

    async def _prepare_query(self, query: Paging | None) -> Paging:
        """Check the query and search its words in the search index. Raises Forbidden and FieldErrors."""
        checked = self._require_permitted_query(query)
        if self.search and (words := getattr(checked, "q", "")):
            self._narrowed = words, await narrow_search(self.session, self._searched, words, self.visible)
        return checked

    def _require_permitted_query(self, query: Paging | None) -> Paging:
        """Return the query, by default an empty one. Raises Forbidden and FieldErrors if the user may not run it."""
        self.require("list")
        checked: Paging = query or self.Filter()
        if self.lists_trash(checked):
            self.require("delete")
        self._refuse_hidden(checked)
        return checked

    def _cached_statement(self, query: Paging, names: Sequence[str], cursor: Cursor | None) -> ListStatement:
        """Return the statement of a list. It is cached by order if only its parameters depend on the user."""
        is_shared = self.definition.shares_statement and not query.model_fields_set - Paging.model_fields.keys()
        if not is_shared or any("." in name for name in names):  # related rows depend on the user
            return self._build_statement(query, names, cursor)
        sort = query.sort if query.sort.removeprefix("-") in self.sort else ""  # a `filter_schema` may allow any text
        statements, key = self.definition.list_statements, (sort, names)
        if key not in statements:
            statements[key] = self._build_statement(query, names)
        return statements[key]

    def _build_statement(self, query: Paging, names: Sequence[str], cursor: Cursor | None = None) -> ListStatement:
        selection = select_names(self, names)
        owned = self._owned(self.definition.read_access, owner_id=bindparam("owner", type_=BigInteger))
        condition = owned if self.definition.shares_statement else self.readable()
        rows = self.query().where(condition, *self.conditions(query))
        count = count_few_rows(rows, self.model.id)
        selected = rows.with_only_columns(*selection.columns, count.scalar_subquery(), maintain_column_froms=True)
        joined = add_joins(selected, selection)
        paged = cursor.select_page(joined) if cursor else joined.order_by(*self.ordering(query.sort))
        limits = bindparam("limit", type_=Integer), bindparam("offset", type_=BigInteger)
        paged = paged.limit(limits[0]).offset(limits[1])
        if self.lists_trash(query):
            return ListStatement(selection, paged, count)
        return ListStatement(selection, hide_deleted(paged), hide_deleted(count))

    async def row(self, key: Key, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the values of a row by name. Raises NotFound."""
        self.require("details")
        return await self._row(self.query().where(self.readable(), self._has_key(key)), names)

    async def written(self, row: M, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the values of a row that was just written, even if the user may no longer read it."""
        return await self._row(self.query().where(self._has_key(row.id)), names)

    async def _row(self, query: Select[Any], names: Sequence[str]) -> dict[str, Any]:
        selection = select_names(self, names or self.serializer.names)
        selected = add_joins(query.with_only_columns(*selection.columns, maintain_column_froms=True), selection)
        result = (await self.session.execute(selected)).first()
        if result is None:
            raise NotFound
        return (await values_of(self, selection, [result]))[0]

    async def get(self, key: Key) -> M:
        """Return a row with its related rows.

        Args:
            key: The `id`, or the value of the `lookup` column.

        Raises:
            NotFound: The row does not exist for this user.
            Forbidden: The user may not open rows at all.
        """
        self.require("details")
        return await self._load_row(self.query().where(self.readable(), self._has_key(key)))

    async def get_writable(self, key: Key, action: str = "edit") -> M:
        """Return a row and lock it for a change. Raises NotFound."""
        self.require(action)
        query = self.query().where(self.readable(), self.writable_by(action), self._has_key(key))
        return await self._load_row(query.with_for_update(of=self.model))

    def query(self) -> Select[M]:
        """Select all rows with their related rows, without permission rules."""
        shape = self.definition.shape
        targets = {name: relation.mapper.class_ for name, relation in shape.to_one.items()} | dict(shape.links)
        return select(self.model).options(*(self._load_option(name, target) for name, target in targets.items()))

    def _load_option(self, name: str, target: type[Any]) -> Any:
        relation, condition = getattr(self.model, name), self.visible(target)
        return selectinload(relation if isinstance(condition, True_) else relation.and_(condition))

    def conditions(self, query: Paging) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions for the search and filters of a query."""
        for name in query.model_fields_set - Paging.model_fields.keys():
            value = getattr(query, name)
            if value is None or value == []:
                continue
            if name == TRASH_PARAMETER and self.definition.has_trash:
                if value:
                    yield self.model.deleted_at.is_not(None)
                    yield self.writable()
            elif name == CURSOR or (name == LANGUAGES and name not in self.definition.filter_fields):
                continue  # they select no rows
            elif name == "q":
                yield from matching_words(self._searched, value, self.visible)
                words, narrowed = self._narrowed
                yield from narrowed if words == value else ()
            elif name in self.definition.filter_methods:
                yield self._method_condition(name, value)
            else:
                yield self.definition.filters[name].condition(self.visible, value)

    def lists_trash(self, query: Paging) -> bool:
        """Return whether a query asks for the rows in the trash."""
        return self.definition.has_trash and getattr(query, TRASH_PARAMETER, False) is True

    def _refuse_hidden(self, query: Paging) -> None:
        """Raise FieldErrors for parameters of hidden fields, with the same messages as for unknown parameters."""
        names = query.model_fields_set - PAGING
        if not (names or query.sort):
            return
        errors = {name: str(UNKNOWN_NAME) for name in names if self.hides_parameter(name)}
        if query.sort and self.hides(query.sort):
            errors["sort"] = str(INVALID_CHOICE)
        if errors:
            raise FieldErrors(errors)

    def hides_parameter(self, name: str) -> bool:
        """Return whether a query parameter belongs to a hidden field."""
        if name == "q":
            return bool(self.search) and not self.search_paths
        filter_ = self.definition.filters.get(name)
        return (filter_.name if filter_ else name) in self.hidden_names

    @property
    def search_paths(self) -> Sequence[str]:
        """The columns that `?q=` searches for this user."""
        return [path for path in self.search if not self.hides(path)]

    @property
    def _searched(self) -> Sequence[AttributePath]:
        return [parse_path(self.definition.shape.mapper, path) for path in self.search_paths]

    def _method_condition(self, name: str, value: Any) -> ColumnElement[bool]:
        """Call a `@filter_by` method. Raises FieldErrors if the method raises ValueError."""
        try:
            condition: ColumnElement[bool] = getattr(self, name)(value)
        except ValueError as error:
            raise FieldErrors({name: str(error)}) from error
        return condition

    def column(self, path: str) -> ColumnElement[Any]:
        """Return the expression of an annotation, a column or a column of a related row (`author.name`)."""
        if path in self.definition.annotations:
            return self.definition.annotations[path]
        if "." not in path:
            column: ColumnElement[Any] = getattr(self.model, path)
            return column
        return parse_path(self.definition.shape.mapper, path).value(self.visible)

    def ordering(self, sort: str) -> Sequence[SQLColumnExpression[Any]]:
        """Return the arguments of `order_by`: the requested order, the default order, and the newest first."""
        path = sort.removeprefix("-")
        columns = {path: self._sort_expression(path)} if path in self.sort else {}
        return order(sort, columns, *self.default_order(), self.model.id.desc())

    def default_order(self) -> Sequence[SQLColumnExpression[Any]]:
        """Return the order of a list without `?sort=`."""
        names = {path.removeprefix("-"): path for path in self.order if not self.hides(path)}
        return [order(path, {name: self._sort_expression(name)})[0] for name, path in names.items()]

    def _sort_expression(self, path: str) -> ColumnElement[Any]:
        column, name = self.column(path), path.rpartition(".")[2]
        shape = self.definition.shape
        is_text_column = path == name and name in shape.columns and is_text(shape.columns[name])
        if is_text_column and is_translated(column):
            return func.lower(current_text(column))
        return func.lower(column) if is_text_column or "." in path else column

    async def _load_row(self, query: Select[M]) -> M:
        result = (await self.session.execute(query.add_columns(*self.definition.annotations.values()))).first()
        if result is None:
            raise NotFound
        return self._set_annotations(result)

    def _set_annotations(self, result: Sequence[Any]) -> M:
        row: M = result[0]
        for name, value in zip(self.definition.annotations, result[1:], strict=False):
            object.__setattr__(row, name, value)  # annotations are not fields of the model
        return row

    def _has_key(self, key: Key) -> ColumnElement[bool]:
        """Return the condition for the row with this key. An invalid key matches no row."""
        if isinstance(key, str) and self.lookup != "id":
            has_lookup: ColumnElement[bool] = getattr(self.model, self.lookup) == key
            return false() if "\0" in key else has_lookup
        return self.has_id(str(key))

    def has_id(self, text: str) -> ColumnElement[bool]:
        """Return the condition for the row with this id. Any other text matches no row."""
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
        is_row: ColumnElement[bool] = self.model.id == number
        return is_row if 1 <= number <= MAX_ID else false()
