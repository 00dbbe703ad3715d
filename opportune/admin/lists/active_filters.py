"""Query parameters of a list: its filters, with links to clear the active ones.

Unknown parameters are errors, because without a misspelt filter more rows match.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.admin.lists.comparison_filter import VALUELESS_OPERATIONS, ComparisonFilter
from opportune.admin.lists.facets import count_choices, frequent_rows
from opportune.admin.lists.filters import (
    NOT,
    VALUE_OPERATIONS,
    ListFilter,
    LookupFilter,
    ValuesFilter,
    has_operator,
    parameters_of,
)
from opportune.admin.lists.positions import POSITION
from opportune.crud.filters import FROM, MAX_FILTER_VALUES
from opportune.i18n import gettext, pgettext
from opportune.pagination import TRACKING_PARAMETER
from opportune.web import is_htmx

ORDER_PARAMETERS = {"page", POSITION, "pageSize", "sort", "sortBy", "columns"}
FACETS = "_facets"
"""Parameter that requests the number of rows beside each choice of the filters."""


def list_narrowing_parameters(view: BaseAdminView) -> set[str]:
    """Return the parameters that reduce the rows of a list: search, filters and `list_parameters` of the view."""
    hierarchy = view.get_date_hierarchy()
    return {
        "search",
        *view.list_parameters,
        *(hierarchy.parameters if hierarchy else ()),
        *(name for filter_ in view.get_filters() for name in parameters_of(filter_)),
    }


def allowed_parameters(view: BaseAdminView) -> set[str]:
    return _order_parameters(view) | {FACETS} | list_narrowing_parameters(view)


def _order_parameters(view: BaseAdminView) -> set[str]:
    """Return the parameters that keep all rows."""
    return {*ORDER_PARAMETERS} | view.site.extensions.list_parameters


async def clean_list_url(request: Request, view: BaseAdminView) -> str:
    """Return the URL of the list without parameters that have no effect, or an empty text if there are none."""
    params = effective_parameters(request, view)
    if params == request.query_params.multi_items():
        return ""
    return (
        f"{request.url.path}?{urlencode(params)}"
        if params
        else await view.site.extensions.plain_list_url(request, view)
    )


def effective_parameters(request: Request, view: BaseAdminView) -> list[tuple[str, str]]:
    """Return the parameters of a list in machine format, without empty, repeated and overridden ones of forms."""
    query, droppable = request.query_params, allowed_parameters(view) - {*view.list_parameters}
    filters = [filter_ for filter_ in view.get_filters() if isinstance(filter_, ListFilter)]
    dropped = {name for filter_ in filters for name in {*filter_.parameters} - {*filter_.effective_parameters(query)}}
    ranges = [filter_ for filter_ in filters if isinstance(filter_, ComparisonFilter) and filter_.end_names]
    typed = {name: filter_ for filter_ in ranges for name in (filter_.parameter_name, *filter_.end_names)}
    items = [(name, text) for name, text in query.multi_items() if name not in dropped]
    params = [(name, typed[name].to_machine_format(text) if name in typed else text) for name, text in items]
    return list(dict.fromkeys((name, text) for name, text in params if text.strip() or name not in droppable))


def url_without(
    request: Request, names: Collection[str], value: str = "", extra: Sequence[tuple[str, object]] = ()
) -> str:
    """Return the URL of the first page without these parameters. With `value`, remove only that value."""
    params = [
        (name, text)
        for name, text in request.query_params.multi_items()
        if text and name not in ("page", POSITION) and not (name in names and value in ("", text))
    ]
    params += [(name, str(text)) for name, text in extra]
    return f"{request.url.path}?{urlencode(params)}" if params else request.url.path


def refuse_unknown_parameters(request: Request, view: BaseAdminView) -> None:
    """Refuse parameters that the list does not have, and filters with too many values. Ignore tracking parameters.

    Raises:
        RequestValidationError: A parameter is unknown or has too many values. The error lists all of them.
    """
    allowed, query = allowed_parameters(view), request.query_params
    unknown = [name for name in query if name not in allowed and not TRACKING_PARAMETER.fullmatch(name)]
    faults = [_parameter_error(name, "extra_forbidden", "Extra inputs are not permitted") for name in unknown]
    counts = Counter(name for name, _ in query.multi_items() if name in allowed)
    crowded = [name for name, count in counts.items() if count > MAX_FILTER_VALUES]
    too_many = gettext("Please select at most %(number)s values.", number=MAX_FILTER_VALUES)
    faults += [_parameter_error(name, "too_many_values", too_many) for name in crowded]
    if faults:
        raise RequestValidationError(faults)


def _parameter_error(name: str, type_: str, message: str) -> dict[str, Any]:
    return {"type": type_, "loc": ("query", name), "msg": message, "input": None}


@dataclass(frozen=True)
class ActiveFilter:
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
        is_ours = isinstance(self.filter, ListFilter)
        return self.filter.form_operations(self.operation) if is_ours else self.operations


async def list_context(request: Request, view: BaseAdminView) -> dict[str, Any]:
    controls = [await _build_control(request, view, filter_) for filter_ in view.get_filters()]
    has_facets = bool(request.query_params.get(FACETS))
    if has_facets:
        controls = [await _add_counts(request, view, control) for control in controls]
    search = request.query_params.get("search", "").strip()
    active = [ActiveFilter(f"“{search}”", url_without(request, {"search"}))] if search else []
    active += [filter_ for control in controls for filter_ in _active_filters(request, control)]
    hierarchy = view.get_date_hierarchy()
    return {
        "is_part": is_htmx(request),
        "plain_url": await view.site.extensions.plain_list_url(request, view),
        "state_parameters": ("sortBy", "sort", "pageSize", "columns", *sorted(view.site.extensions.list_parameters)),
        "filters": controls,
        "has_facets": has_facets,
        "may_have_facets": any(isinstance(control.filter, ValuesFilter) for control in controls),
        "url_without_facets": url_without(request, {FACETS}),
        "date_parameters": hierarchy.parameters if hierarchy else (),
        "period_links": await hierarchy.links(request, view) if hierarchy else None,
        "active_filters": active,
        "clear": url_without(request, request.query_params.keys() - _order_parameters(view)),
        "is_narrowed": any(request.query_params.get(name) for name in list_narrowing_parameters(view)),
    }


async def _build_control(request: Request, view: BaseAdminView, filter_: Any) -> FilterControl:
    name, query = filter_.parameter_name, request.query_params
    operation = query.get(f"{name}_op", "")
    if has_operator(filter_):
        is_equal = f"{name}_op" not in query and query.get(name)
        return FilterControl(filter_, (), (), filter_.operations(), "equals" if is_equal else operation)
    operations = filter_.operations() if isinstance(filter_, ListFilter) else []
    options = await filter_.lookups(request, view.model, view.fetch_tuples)
    choices = [
        (str(value), label if label == value else gettext(label))
        for value, label in options
        if value not in ("", "all", "__all")
    ]
    return FilterControl(filter_, choices, query.getlist(name), operations, operation)


async def _add_counts(request: Request, view: BaseAdminView, control: FilterControl) -> FilterControl:
    filter_ = control.filter
    if not isinstance(filter_, ValuesFilter):
        return control
    counts = await count_choices(request, view, filter_)
    frequent = await frequent_rows(request, filter_, counts) if isinstance(filter_, LookupFilter) else []
    return replace(control, counts=counts, frequent=[row for row in frequent if row not in control.options])


def _active_filters(request: Request, control: FilterControl) -> Iterator[ActiveFilter]:
    filter_, query = control.filter, request.query_params
    names, title, labels = parameters_of(filter_), filter_.title, dict(control.operations)
    operation = query.get(f"{filter_.parameter_name}_op", "").strip()
    if isinstance(filter_, ListFilter) and not filter_.is_valid(query):
        texts = (text for name in names for text in query.getlist(name) if text.strip())
        text = gettext("%(filter)s: “%(value)s” is not valid", filter=title, value=" ".join(dict.fromkeys(texts)))
        yield ActiveFilter(text, url_without(request, names), is_valid=False)
    elif operation in VALUELESS_OPERATIONS and operation in labels:
        yield ActiveFilter(f"{title} {labels[operation]}", url_without(request, names))
    elif has_operator(filter_):
        if text := _comparison_text(filter_, query, labels):
            yield ActiveFilter(f"{title} {text}", url_without(request, names))
    else:
        yield from _active_values(request, control, f"{title} {VALUE_OPERATIONS[NOT]}" if operation == NOT else title)


def _comparison_text(filter_: Any, query: QueryParams, labels: Mapping[str, str]) -> str:
    """Return the words of a comparison with typed values, such as "from 3 to 9", or an empty text."""
    operation, text = query.get(f"{filter_.parameter_name}_op", ""), query.get(filter_.parameter_name, "").strip()
    if ends := filter_.ends(query) if isinstance(filter_, ComparisonFilter) else {}:
        words = {
            name: pgettext("range", "from") if name.endswith(FROM.suffix) else pgettext("range", "to") for name in ends
        }
        return " ".join(f"{words[name]} {end}" for name, end in ends.items())
    return f"{labels[operation]} {text}" if text and operation in labels else ""


def _active_values(request: Request, control: FilterControl, title: str) -> Iterator[ActiveFilter]:
    name, labels = control.filter.parameter_name, dict(control.options)
    values = list(dict.fromkeys(filter(None, control.selected)))
    for value in values:
        if len(values) == 1:
            url = url_without(request, parameters_of(control.filter))
        else:
            url = url_without(request, {name}, value)
        yield ActiveFilter(f"{title}: {labels.get(value, value)}", url)
