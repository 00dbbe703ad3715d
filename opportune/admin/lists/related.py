"""Related rows on the page of a row: the newest rows of each model that refers to it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import inspect
from starlette.requests import Request

from opportune.admin.authorization import may_create, may_list
from opportune.admin.base import BaseAdminView
from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.lists.row_keys import key_of
from opportune.db.models.columns import references_of
from opportune.db.models.labels import label_of
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.pagination import count_rows

MAX_ROWS = 10
MAX_COLUMNS = 4
MAX_COUNTED_ROWS = 1_000
"""Maximum count. The page says "more than 1,000" instead of counting all rows of a large table."""


@dataclass(frozen=True)
class RelatedRows:
    """The rows of one model that refer to a row by one column."""

    view: BaseAdminView
    title: str
    columns: Sequence[str]
    rows: Sequence[Any]
    count: int
    """Number of rows, at most `MAX_COUNTED_ROWS` + 1."""
    list_url: str
    """URL of the list with all related rows, or an empty text."""
    add_url: str
    """URL of the form for a new related row, or an empty text."""

    @property
    def amount(self) -> str:
        if self.count > MAX_COUNTED_ROWS:
            return gettext("more than %(number)s", number=format_number(MAX_COUNTED_ROWS))
        return format_number(self.count)


async def related_rows(
    request: Request, parent: BaseAdminView, row: Any, inlines: Sequence[tuple[BaseAdminView, str]] = ()
) -> Sequence[RelatedRows]:
    """Return the related rows of each model that the user may list, except models that the form edits inline."""
    related = [pair for pair in find_referring_views(parent) if pair not in inlines]
    columns_by_view = Counter(view.identity for view, _ in related)
    return [
        await _load_related_rows(request, view, column, row, has_several=columns_by_view[view.identity] > 1)
        for view, column in related
        if await may_list(request, view)
    ]


def find_referring_views(parent: BaseAdminView) -> list[tuple[BaseAdminView, str]]:
    """Return the views of models that refer to this one, each with its foreign key column."""
    return [
        (view, name)
        for view in parent.site.row_views
        for name, model in references_of(inspect(view.model)).items()
        if model is parent.model and not view.names.hides(name)
    ]


async def _load_related_rows(
    request: Request, view: BaseAdminView, column: str, row: Any, *, has_several: bool
) -> RelatedRows:
    children = view.list_query(request).where(getattr(view.model, column) == view.references[column].key_of(row))
    newest = children.order_by(view.pk_columns[0].desc()).limit(MAX_ROWS)
    rows = await view.queries.objects(newest.options(*view.queries.loading(())))
    columns = [name for name in view.names.in_list if name != column and name in view.mapper.columns][:MAX_COLUMNS]
    await load_references(request, view, columns, rows)
    title = f"{view.name_plural} ({label_of(column)})" if has_several else view.name_plural
    count = len(rows)
    if count == MAX_ROWS:
        [count] = await view.queries.objects(count_rows(children.limit(MAX_COUNTED_ROWS + 1), view.pk_columns[0]))
    return RelatedRows(
        view=view,
        title=title,
        columns=columns,
        rows=rows,
        count=count,
        list_url=list_url_of_reference(request, view, column, key_of(row)),
        add_url=await _add_url(request, view, column, row),
    )


def list_url_of_reference(request: Request, view: BaseAdminView, column: str, pk: Any) -> str:
    """Return the address of the list of rows that refer to a row, or an empty text without a filter for the column."""
    if not any(filter_.parameter_name == column for filter_ in view.get_filters()):
        return ""
    return f"{request.url_for('admin:list', identity=view.identity)}?{urlencode({column: pk})}"


async def _add_url(request: Request, view: BaseAdminView, column: str, row: Any) -> str:
    if column not in view.names.in_form or not await may_create(request, view):
        return ""
    return f"{request.url_for('admin:create', identity=view.identity)}?{urlencode({column: key_of(row)})}"
