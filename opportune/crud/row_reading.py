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

from opportune.crud.options import CrudOptions, Key, M
from opportune.crud.reader import Prepared, fetch, joined, select_names, values_of
from opportune.db.models.columns import is_text
from opportune.db.models.model import MAX_ID
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import parse_path
from opportune.errors import FieldErrors, NotFound
from opportune.pagination import Page, Paging, count_rows, order, page_count
from opportune.web.forms.error_messages import MESSAGES

Rows = Page[dict[str, Any]]
PAGING = frozenset(Paging.model_fields)


class Reading(CrudOptions[M]):
    """The reading methods of `Crud`. Each can be overridden."""

    async def find(self, wanted: Paging | None = None) -> Page[M]:
        """Return the requested page of rows with their annotations, and the total."""
        wanted = self._checked(wanted)
        query = self.query().where(self.readable(), *self.conditions(wanted))
        count = count_rows(query, self.model.id)
        statement = query.add_columns(*self.definition.annotations.values(), count.scalar_subquery())
        statement = statement.order_by(*self.ordering(wanted.sort)).offset((wanted.page - 1) * wanted.size)
        found = (await self.session.execute(statement.limit(wanted.size))).all()
        total = found[0][-1] if found else 0
        if not found and wanted.page > 1:  # past the end, no row has the total
            total = await self.session.scalar(count) or 0
        items = [self._annotated(row) for row in found]
        return Page[Any](items=items, total=total, page=wanted.page, pages=page_count(total, wanted.size))

    async def rows(self, wanted: Paging | None = None, names: Sequence[str] = ()) -> Page[dict[str, Any]]:
        """Return the same page as mappings of these names, by default those of the response. It loads no objects."""
        wanted = self._checked(wanted)
        made = self._prepared(wanted, tuple(names or self.answers.names))
        offset = (wanted.page - 1) * wanted.size
        values = {"owner": self.owner_id or 0, "offset": offset, "limit": wanted.size}
        alone = not made.selection.links
        found = await fetch(self.session, made.statement, values, alone=alone)
        total = found[0][-1] if found else 0
        if not found and wanted.page > 1:
            total = (await fetch(self.session, made.counting, values, alone=alone))[0][0]
        items = await values_of(self, made.selection, found)
        pages = page_count(total, wanted.size)
        return Rows.model_construct(items=items, total=total, page=wanted.page, pages=pages)

    def _checked(self, wanted: Paging | None) -> Paging:
        """Return the query of a list that the user may read. Raises Forbidden and FieldErrors."""
        self.require("list")
        wanted = wanted or self.Filter()
        self._refuse_hidden(wanted)
        return wanted

    def _prepared(self, wanted: Paging, names: Sequence[str]) -> Prepared:
        """Return the statement of a list. It is built once for each order if only its parameters depend on the user."""
        is_common = self.definition.is_common and not wanted.model_fields_set - Paging.model_fields.keys()
        if not is_common or any("." in name for name in names):  # related rows depend on the user
            return self._prepare(wanted, names)
        sort = wanted.sort if wanted.sort.removeprefix("-") in self.sort else ""  # a `filter_schema` may allow any text
        prepared, key = self.definition.prepared, (sort, names)
        if key not in prepared:
            prepared[key] = self._prepare(wanted, names)
        return prepared[key]

    def _prepare(self, wanted: Paging, names: Sequence[str]) -> Prepared:
        selection = select_names(self, names)
        theirs = self._is_theirs(self.definition.read_access, bindparam("owner", type_=BigInteger))
        theirs = theirs if self.definition.is_common else self.readable()
        query = self.query().where(theirs, *self.conditions(wanted))
        count = count_rows(query, self.model.id)
        chosen = query.with_only_columns(*selection.columns, count.scalar_subquery(), maintain_column_froms=True)
        paged = joined(chosen, selection).order_by(*self.ordering(wanted.sort))
        limits = bindparam("limit", type_=Integer), bindparam("offset", type_=BigInteger)
        return Prepared(selection, paged.limit(limits[0]).offset(limits[1]), count)

    async def row(self, key: Key, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the values of these names of a row. Raises NotFound."""
        self.require("details")
        return await self._row(self.query().where(self.readable(), self._has(key)), names)

    async def written(self, row: M, names: Sequence[str] = ()) -> dict[str, Any]:
        """Return the same for a row that was just written, also if the user may no longer read it."""
        return await self._row(self.query().where(self._has(row.id)), names)

    async def _row(self, query: Select[Any], names: Sequence[str]) -> dict[str, Any]:
        selection = select_names(self, names or self.answers.names)
        chosen = joined(query.with_only_columns(*selection.columns, maintain_column_froms=True), selection)
        found = (await self.session.execute(chosen)).first()
        if found is None:
            raise NotFound
        return (await values_of(self, selection, [found]))[0]

    async def get(self, key: Key) -> M:
        """Return a row. Raises NotFound."""
        self.require("details")
        return await self._one(self.query().where(self.readable(), self._has(key)))

    async def get_writable(self, key: Key, action: str = "edit") -> M:
        """Return a row and lock it for a change. Raises NotFound."""
        self.require(action)
        query = self.query().where(self.readable(), self.writable(), self._has(key))
        return await self._one(query.with_for_update(of=self.model))

    def query(self) -> Select[tuple[M]]:
        """Select all rows with their related rows, without the rules of access."""
        shape = self.definition.shape
        targets = {name: relation.mapper.class_ for name, relation in shape.to_one.items()} | dict(shape.links)
        return select(self.model).options(*(self._loading(name, target) for name, target in targets.items()))

    def _loading(self, name: str, target: type[Any]) -> Any:
        relation, condition = getattr(self.model, name), self.visible(target)
        return selectinload(relation if isinstance(condition, True_) else relation.and_(condition))

    def conditions(self, wanted: Paging) -> Iterator[ColumnElement[bool]]:
        """Return the conditions of a list's query."""
        mapper = self.definition.shape.mapper
        for name in wanted.model_fields_set - Paging.model_fields.keys():
            value = getattr(wanted, name)
            if value is None or value == []:
                continue
            if name == "q":
                yield from matching_words([parse_path(mapper, path) for path in self.search_paths], value, self.visible)
            elif name in self.definition.own_filters:
                yield self._own_condition(name, value)
            else:
                yield self.definition.filters[name].condition(self.visible, value)

    def _refuse_hidden(self, wanted: Paging) -> None:
        """Raise FieldErrors for parameters of hidden fields, with the same words as for unknown parameters."""
        asked = wanted.model_fields_set - PAGING
        if not (asked or wanted.sort):
            return
        errors = {name: MESSAGES["extra_forbidden"] for name in asked if self.hides_parameter(name)}
        if wanted.sort and self.hides(wanted.sort):
            errors["sort"] = MESSAGES["literal_error"]
        if errors:
            raise FieldErrors(errors)

    def hides_parameter(self, name: str) -> bool:
        """Return whether a query parameter belongs to a hidden field."""
        if name == "q":
            return bool(self.search) and not self.search_paths
        found = self.definition.filters.get(name)
        return (found.name if found else name) in self.hidden_names

    @property
    def search_paths(self) -> Sequence[str]:
        """The columns that `?q=` searches for this user."""
        return [path for path in self.search if not self.hides(path)]

    def _own_condition(self, name: str, value: Any) -> ColumnElement[bool]:
        """Call a `@filter_by` method. Raises FieldErrors if it refuses the value by a ValueError."""
        try:
            condition: ColumnElement[bool] = getattr(self, name)(value)
        except ValueError as error:
            raise FieldErrors({name: str(error)}) from error
        return condition

    def column(self, path: str) -> ColumnElement[Any]:
        """Return the expression of an annotation, a column or a column of a related row (`author.name`)."""
        computed = self.definition.annotations
        if path in computed:
            return computed[path]
        if "." not in path:
            column: ColumnElement[Any] = getattr(self.model, path)
            return column
        return parse_path(self.definition.shape.mapper, path).value(self.visible)

    def ordering(self, sort: str) -> Sequence[SQLColumnExpression[Any]]:
        """Return the arguments of `order_by`: the requested order, then the default order, then the newest first."""
        path = sort.removeprefix("-")
        wanted = {path: self._sortable(path)} if path in self.sort else {}
        return order(sort, wanted, *self.default_order(), self.model.id.desc())

    def default_order(self) -> Sequence[SQLColumnExpression[Any]]:
        """Return the order of a list without `?sort=`."""
        names = {path.removeprefix("-"): path for path in self.order if not self.hides(path)}
        return [order(path, {name: self._sortable(name)})[0] for name, path in names.items()]

    def _sortable(self, path: str) -> ColumnElement[Any]:
        column, name = self.column(path), path.rpartition(".")[2]
        shape = self.definition.shape
        is_words = path == name and name in shape.columns and is_text(shape.columns[name])
        return func.lower(column) if is_words or "." in path else column

    async def _one(self, query: Select[tuple[M]]) -> M:
        found = (await self.session.execute(query.add_columns(*self.definition.annotations.values()))).first()
        if found is None:
            raise NotFound
        return self._annotated(found)

    def _annotated(self, found: Sequence[Any]) -> M:
        row: M = found[0]
        for name, value in zip(self.definition.annotations, found[1:], strict=False):
            object.__setattr__(row, name, value)  # annotations are no fields of the model
        return row

    def _has(self, key: Key) -> ColumnElement[bool]:
        """Return the condition that a row has this key. An impossible key matches no row."""
        if isinstance(key, str) and self.lookup != "id":
            named: ColumnElement[bool] = getattr(self.model, self.lookup) == key
            return false() if "\0" in key else named
        text = str(key)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
        own: ColumnElement[bool] = self.model.id == number
        return own if 1 <= number <= MAX_ID else false()
