"""Pages of large lists: an estimated number of rows, and pages that begin at a row."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.sql.elements import True_

from opportune.crud.filters import CURSOR
from opportune.db.queries.keyset import OrderTerm, Position, comes_after, reverse
from opportune.db.queries.row_count import RowCount, estimate_row_count
from opportune.db.sessions.trash import hide_deleted, with_deleted
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import Page, Paging, page_count, select_key

AnyPage = Page[Any]
WRONG_CURSOR = _l("There is no such row. Begin with the first page.")


class Cursor(NamedTuple):
    """Row at which a page begins or ends."""

    terms: Sequence[OrderTerm]
    condition: ColumnElement[bool]
    is_before: bool
    is_last: bool = False
    """Whether it is the end of the list and not a row."""

    def select_page(self, rows: Select[Any]) -> Select[Any]:
        """Select the rows beside the cursor, from the nearest to the farthest."""
        terms = reverse(self.terms) if self.is_before else self.terms
        return rows.where(self.condition).order_by(*(term.ordered for term in terms))


async def read_cursor(crud: Any, query: Paging) -> Cursor | None:
    """Return the cursor of a query. Raises FieldErrors if the user may not read its row."""
    if not (text := getattr(query, CURSOR, "")):
        return None
    terms = [*map(OrderTerm.parse, crud.ordering(query.sort))]
    if getattr(terms[-1].expression, "key", "") != "id":  # a method of the project may leave it out
        terms.append(OrderTerm(crud.model.id, is_descending=True))
    position = Position.parse(text)
    if position and not position.key:
        return Cursor(terms, true(), is_before=True, is_last=True)
    values = await _read_values(crud, query, terms, position.key) if position else None
    if position is None or values is None:
        raise FieldErrors({CURSOR: WRONG_CURSOR})
    is_postgresql = crud.session.get_bind().dialect.name == "postgresql"
    following = reverse(terms) if position.is_before else terms
    return Cursor(terms, comes_after(following, values, is_postgresql=is_postgresql), position.is_before)


async def _read_values(crud: Any, query: Paging, terms: Sequence[OrderTerm], key: str) -> Sequence[Any] | None:
    """Return the values of the row to sort by, or None if there is no such row."""
    if not (key.isascii() and key.isdigit()):
        return None
    statement = select(*(term.expression for term in terms)).select_from(crud.model)
    statement = statement.where(crud.readable(), crud.has_id(key))
    result = await crud.session.execute(with_deleted(statement) if crud.lists_trash(query) else statement)
    values: Sequence[Any] | None = result.first()
    return values


class FoundRows(NamedTuple):
    """Result of a list with one row more than the page, which tells whether there is another page."""

    items: Sequence[Any]
    ids: Sequence[int]
    counted: int
    """Number of all rows, at most one more than `MAX_COUNTED_ROWS`."""


async def make_page(crud: Any, query: Paging, cursor: Cursor | None, found: FoundRows) -> Page[Any]:
    """Return the page of a list."""
    size, offset = query.size, (query.page - 1) * query.size
    has_more = len(found.items) > size
    items, ids = [*found.items[:size]], [*found.ids[:size]]
    if cursor and cursor.is_before:
        items.reverse()
        ids.reverse()
    total, is_estimate, is_large = found.counted, False, RowCount(found.counted).is_large
    if is_large:
        if not cursor and items and not has_more:
            total = offset + len(items)
        else:
            conditions = (crud.readable(), *crud.conditions(query))
            rows = crud.query().where(*(condition for condition in conditions if not isinstance(condition, True_)))
            keys = select_key(rows, crud.model.id)
            visible = with_deleted(keys) if crud.lists_trash(query) else hide_deleted(keys)
            count = await estimate_row_count(crud.session, visible)
            # Clients that read page after page must not stop before the last one.
            total, is_estimate = max(count.number, offset + len(items) + has_more), not count.is_exact
    page = AnyPage.model_construct(
        items=items, total=total, page=query.page, pages=page_count(total, size), is_estimate=is_estimate
    )
    if items and (cursor or is_large) and CURSOR in crud.definition.filter_schema.model_fields:
        is_before = bool(cursor and cursor.is_before)
        if (is_before and cursor and not cursor.is_last) or (has_more and not is_before):
            page.next_cursor = f"after:{ids[-1]}"
        if cursor and (has_more or not is_before):
            page.previous_cursor = f"before:{ids[0]}"
    return page
