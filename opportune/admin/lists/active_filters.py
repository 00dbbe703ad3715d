"""Filters of a list as its page shows them: their controls, and the active ones with links to clear them.

Facets are the numbers of rows beside the choices of the filters, within limits.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import Select, func, select
from sqlalchemy.orm import RelationshipProperty
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.admin.lists import filters, parameters
from opportune.admin.lists.choice_filters import ChoiceFilter, TextChoiceFilter, choice_parameter
from opportune.admin.lists.range_filters import DATE_RANGES, RangeFilter
from opportune.admin.lists.view_filters import has_operator, parameters_of
from opportune.i18n import gettext, pgettext
from opportune.i18n.formats import format_number
from opportune.web import is_htmx

MAX_READ_ROWS = 100_000
"""Maximum rows to read for one filter. If there are more, all counts are minimums, such as "3,512+"."""
MAX_COUNT = 10_000
"""Larger counts are shown as "10,000+"."""
MAX_CHOICES = 200
MAX_REFERENCES = 10
"""Maximum related rows that a filter offers with their counts: the most frequent ones."""


class ActiveFilter(NamedTuple):
    text: str
    clear_url: str
    """URL of the list without this filter."""
    is_valid: bool = True


@dataclass(frozen=True)
class FilterControl:
    filter: Any
    options: Sequence[tuple[str, str]]
    selected: Collection[str] = ()
    operations: Sequence[tuple[str, str]] = ()
    operation: str = ""
    """The selected comparison."""
    counts: Mapping[str, str] = field(default_factory=dict)
    """Numbers of rows by choice, if the request is for them."""
    frequent: Sequence[tuple[str, str]] = ()
    """Related rows that are offered with their counts."""

    @property
    def form_operations(self) -> Sequence[tuple[str, str]]:
        is_ours = isinstance(self.filter, filters.ListFilter)
        return self.filter.form_operations() if is_ours else self.operations


async def list_context(request: Request, view: BaseAdminView) -> dict[str, Any]:
    controls = [await _build_control(request, view, filter_) for filter_ in view.get_filters()]
    has_facets = bool(request.query_params.get(parameters.FACETS))
    if has_facets:
        controls = [await _add_counts(request, view, control) for control in controls]
    search = request.query_params.get("search", "").strip()
    text = gettext("“%(text)s”", text=search)
    active = [ActiveFilter(text, parameters.url_without(request, {"search"}))] if search else []
    active += [filter_ for control in controls for filter_ in _active_filters(request, control)]
    hierarchy = parameters.visible_hierarchy(view)
    return {
        "is_part": is_htmx(request),
        "plain_url": await view.site.extensions.plain_list_url(request, view),
        "state_parameters": ("sortBy", "sort", "pageSize", "columns", *sorted(view.site.extensions.list_parameters)),
        "filters": controls,
        "has_facets": has_facets,
        "may_have_facets": any(isinstance(control.filter, filters.ValuesFilter) for control in controls),
        "url_without_facets": parameters.url_without(request, {parameters.FACETS}),
        "date_parameters": hierarchy.parameters if hierarchy else (),
        "period_links": await hierarchy.links(request, view) if hierarchy else None,
        "active_filters": active,
        "clear": parameters.url_without(request, request.query_params.keys() - parameters.order_parameters(view)),
        "is_narrowed": any(request.query_params.get(name) for name in parameters.list_narrowing_parameters(view)),
    }


async def _build_control(request: Request, view: BaseAdminView, filter_: Any) -> FilterControl:
    name = filter_.parameter_name
    query = request.query_params
    operation = query.get(f"{name}_op", "").strip()
    if isinstance(filter_, TextChoiceFilter):
        filter_ = filter_.for_query(query)
    is_ours = isinstance(filter_, filters.ListFilter)
    operations = filter_.operations() if is_ours or has_operator(filter_) else []
    if _has_typed_values(filter_):
        default = "contains" if isinstance(filter_, filters.TextFilter) and query.get(name) else ""
        return FilterControl(filter_, (), operations=operations, operation=operation or default)
    options = await filter_.lookups(request, view.model, view.queries.tuples)
    choices = [
        (str(value), str(label) if is_ours or label == value else gettext(label))
        for value, label in options
        if value not in ("", "all", "__all")
    ]
    return FilterControl(filter_, choices, query.getlist(name), operations, operation)


def _has_typed_values(filter_: Any) -> bool:
    """Return whether users type the values of a filter instead of choosing them."""
    return isinstance(filter_, RangeFilter) or has_operator(filter_)


async def _add_counts(request: Request, view: BaseAdminView, control: FilterControl) -> FilterControl:
    filter_ = control.filter
    if not isinstance(filter_, filters.ValuesFilter):
        return control
    counts = await _count_choices(request, view, filter_)
    frequent: list[tuple[str, str]] = []
    if isinstance(filter_, filters.LookupFilter):
        ids = filter_.parse([text for text in counts if text != filters.NULL_CHOICE][:MAX_REFERENCES])
        rows = await filter_.lookup.visible_rows(request, ids) if ids else []
        visible = {row["id"]: row["text"] for row in map(filter_.lookup.format, rows)}
        frequent = [(text, visible[text]) for text in counts if text in visible]
    return replace(control, counts=counts, frequent=[row for row in frequent if row not in control.options])


def _active_filters(request: Request, control: FilterControl) -> Iterator[ActiveFilter]:
    filter_ = control.filter
    query = request.query_params
    names = parameters_of(filter_)
    if isinstance(filter_, filters.ListFilter) and not filter_.is_valid(query):
        texts = dict.fromkeys(text for name in names for text in query.getlist(name) if text.strip())
        message = gettext("%(filter)s: “%(value)s” is not valid", filter=filter_.title, value=" ".join(texts))
        yield ActiveFilter(message, parameters.url_without(request, names), is_valid=False)
    elif text := _comparison_text(control, query):
        yield ActiveFilter(f"{filter_.title} {text}", parameters.url_without(request, names))
    elif not _has_typed_values(filter_):
        yield from _active_values(request, control)


def _comparison_text(control: FilterControl, query: QueryParams) -> str:
    """Return the words of a comparison, such as "is empty" or "from 3 to 9", or an empty text."""
    filter_ = control.filter
    label = dict(control.operations).get(control.operation, "")
    if control.operation in {*DATE_RANGES, *filters.NULL_OPERATIONS}:
        return label
    if isinstance(filter_, RangeFilter):
        from_name, to_name = filter_.end_names
        words = {from_name: pgettext("range", "from"), to_name: pgettext("range", "to")}
        return " ".join(f"{words[name]} {end}" for name, end in filter_.ends(query).items())
    text = query.get(filter_.parameter_name, "").strip() if has_operator(filter_) else ""
    return f"{label} {text}" if text and label else ""


def _active_values(request: Request, control: FilterControl) -> Iterator[ActiveFilter]:
    title = control.filter.title
    if control.operation == filters.NOT:
        title = f"{title} {filters.VALUE_OPERATIONS[filters.NOT]}"
    labels = dict(control.options)
    values = list(dict.fromkeys(filter(None, control.selected)))
    is_only = len(values) == 1
    names = parameters_of(control.filter) if is_only else {control.filter.parameter_name}
    for value in values:
        url = parameters.url_without(request, names, "" if is_only else value)
        yield ActiveFilter(f"{title}: {labels.get(value, value)}", url)


async def _count_choices(request: Request, view: BaseAdminView, filter_: filters.ValuesFilter) -> dict[str, str]:
    """Return the number of rows for each choice as text, most frequent first.

    The counts respect the search and all other filters of the list.
    """
    values = _selected_values(filter_, await parameters.filtered_query(_request_without(request, filter_), view))
    if values is None:
        return {}
    column = values.limit(MAX_READ_ROWS + 1).subquery().c.value
    count = func.count().label("count")
    groups = select(column, count, func.sum(count).over()).select_from(column.table).group_by(column)
    rows = await view.queries.tuples(groups.order_by(count.desc()).limit(MAX_CHOICES))
    is_partial = bool(rows) and rows[0][2] > MAX_READ_ROWS
    counts = {choice_parameter(value): _format_count(number, is_partial=is_partial) for value, number, _ in rows}
    if isinstance(filter_, ChoiceFilter) and not is_partial and len(rows) < MAX_CHOICES:
        return dict.fromkeys(filter_.choices, "0") | counts
    return counts


def _request_without(request: Request, filter_: filters.ValuesFilter) -> Request:
    params = [(name, text) for name, text in request.query_params.multi_items() if name not in filter_.parameters]
    return Request({**request.scope, "query_string": urlencode(params).encode()})


def _selected_values(filter_: filters.ValuesFilter, rows: Select[Any]) -> Select[Any] | None:
    """Select the value of the filter in each row, or None if related rows lead to several values."""
    path = filter_.path
    rows = rows.order_by(None)
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


def _format_count(count: int, *, is_partial: bool) -> str:
    number = format_number(min(count, MAX_COUNT))
    return f"{number}+" if is_partial or count > MAX_COUNT else number
