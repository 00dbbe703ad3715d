"""Facets of a list: the number of rows beside each choice of its filters, within limits."""

from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Select, func, select
from sqlalchemy.orm import RelationshipProperty
from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.admin.lists.filtered_rows import filtered_query
from opportune.admin.lists.filters import NULL_CHOICE, ChoiceFilter, LookupFilter, ValuesFilter, choice_parameter
from opportune.i18n.formats import format_number

MAX_READ_ROWS = 100_000
"""Maximum rows to read for one filter. If there are more, all counts are minimums, such as "3,512+"."""
MAX_COUNT = 10_000
"""Larger counts are shown as "10,000+"."""
MAX_CHOICES = 200
MAX_REFERENCES = 10
"""Maximum related rows that a filter offers with their counts: the most frequent ones."""


async def count_choices(request: Request, view: BaseAdminView, filter_: ValuesFilter) -> dict[str, str]:
    """Return the number of rows for each choice as text, most frequent first.

    The counts respect the search and all other filters of the list.
    """
    values = _values(filter_, await filtered_query(_request_without(request, filter_), view))
    if values is None:
        return {}
    column = values.limit(MAX_READ_ROWS + 1).subquery().c.value
    count = func.count().label("count")
    groups = select(column, count, func.sum(count).over()).select_from(column.table).group_by(column)
    rows = await view.queries.tuples(groups.order_by(count.desc()).limit(MAX_CHOICES))
    is_partial = bool(rows) and rows[0][2] > MAX_READ_ROWS
    counts = {choice_parameter(value): _format(number, is_partial=is_partial) for value, number, _ in rows}
    if isinstance(filter_, ChoiceFilter) and not is_partial and len(rows) < MAX_CHOICES:
        return dict.fromkeys(filter_.choices, "0") | counts
    return counts


async def frequent_rows(request: Request, filter_: LookupFilter, counts: dict[str, str]) -> list[tuple[str, str]]:
    """Return ids and titles of the most frequent related rows that the user may see."""
    ids = filter_.parse([text for text in counts if text != NULL_CHOICE][:MAX_REFERENCES])
    rows = await filter_.lookup.visible_rows(request, ids) if ids else []
    visible = {row["id"]: row["text"] for row in map(filter_.lookup.format, rows)}
    return [(text, visible[text]) for text in counts if text in visible]


def _request_without(request: Request, filter_: ValuesFilter) -> Request:
    params = [(name, text) for name, text in request.query_params.multi_items() if name not in filter_.parameters]
    return Request({**request.scope, "query_string": urlencode(params).encode()})


def _values(filter_: ValuesFilter, rows: Select[Any]) -> Select[Any] | None:
    """Select the value of the filter in each row, or None if related rows lead to several values."""
    path, rows = filter_.path, rows.order_by(None)
    if path.name in path.end.relationships:
        return None if path.relations else _linked_keys(path.attribute.property, rows)
    if path.leads_to_many:
        return None
    return rows.with_only_columns(path.value().label("value"), maintain_column_froms=True)


def _linked_keys(relation: RelationshipProperty[Any], rows: Select[Any]) -> Select[Any]:
    """Select the keys of the rows that a many-to-many relationship links with these rows."""
    # Each pair has a column of a row, and the column of the link table that refers to it.
    [(key, link_of_row)] = relation.synchronize_pairs
    [(_, link_of_other)] = relation.secondary_synchronize_pairs or ()
    keys = rows.with_only_columns(key, maintain_column_froms=True)
    return select(link_of_other.label("value")).where(link_of_row.in_(keys))


def _format(count: int, *, is_partial: bool) -> str:
    number = format_number(min(count, MAX_COUNT))
    return f"{number}+" if is_partial or count > MAX_COUNT else number
