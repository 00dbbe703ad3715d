"""Statements of a `Crud` class for one user: related rows, conditions, columns and order of its lists.

Projects override the public methods of `RowStatements`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, select
from sqlalchemy.orm import selectinload
from sqlalchemy.sql.elements import True_

from opportune.crud.access import RowAccess
from opportune.crud.query_schema import CURSOR, LANGUAGES, TRASH_PARAMETER
from opportune.db.models.columns import holds_text
from opportune.db.models.translated import current_text, is_translated
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path
from opportune.errors import FieldErrors
from opportune.pagination import Paging, order

PAGING = frozenset(Paging.model_fields)


class RowStatements(RowAccess):
    """The parts of the statements of a data layer, which apply its rules."""

    _narrowed_search: tuple[str, Sequence[ColumnElement[bool]]] = ("", ())
    """The words of the current search and conditions that limit it, from the search index of the model."""

    def query(self) -> Select[Any]:
        """Select all rows with their related rows, without permission rules."""
        shape = self.definition.shape
        targets = {name: relation.mapper.class_ for name, relation in shape.to_one.items()} | dict(shape.links)
        options = []
        for name, target in targets.items():
            relation = getattr(shape.model, name)
            condition = self.visible(target)
            is_limited = not isinstance(condition, True_)
            options.append(selectinload(relation.and_(condition) if is_limited else relation))
        return select(self.model).options(*options)

    def conditions(self, query: Paging) -> Iterator[ColumnElement[bool]]:
        """Return the conditions for the search and filters of a query."""
        if self.lists_trash(query):
            yield self.model.deleted_at.is_not(None)
            yield self.writable_by("delete")
        for name in query.model_fields_set - PAGING:
            value = getattr(query, name)
            if value is not None and value != []:
                yield from self._conditions_of(name, value)

    def _conditions_of(self, name: str, value: Any) -> Iterator[ColumnElement[bool]]:
        definition = self.definition
        if name in (CURSOR, LANGUAGES, TRASH_PARAMETER) and name not in definition.filter_fields:
            return  # they select no rows
        if name == "q":
            yield from matching_words(self.searched_attributes(), value, self.visible)
            words, narrowed = self._narrowed_search
            if words == value:
                yield from narrowed
        elif name in definition.filter_methods:
            try:
                yield getattr(self, name)(value)
            except ValueError as error:
                raise FieldErrors({name: str(error)}) from error
        else:
            yield definition.filters[name].condition(self.visible, value)

    async def narrow_search(self, query: Paging) -> None:
        """Search the words of a query in the search index of the model. The result limits the `conditions` for it."""
        if self.search and (words := getattr(query, "q", "")):
            # Projects override `conditions(query)`, so the conditions of the index are not another argument of it.
            narrowed = await narrow_search(self.session, self.searched_attributes(), words, self.visible)
            self._narrowed_search = (words, narrowed)

    def searched_attributes(self) -> Sequence[AttributePath]:
        return [parse_path(self.definition.shape.mapper, path) for path in self.search_paths]

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
        """Return the expression to sort by. Texts are sorted in lowercase."""
        column = self.column(path)
        if path in self.definition.annotations or not holds_text(column):
            return column
        return func.lower(current_text(column) if is_translated(column) else column)

    def lists_trash(self, query: Paging) -> bool:
        """Return whether a query asks for the rows in the trash."""
        return self.definition.has_trash and getattr(query, TRASH_PARAMETER, False) is True
