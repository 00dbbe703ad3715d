"""The filters on the page of a list: controls to choose values, and the active filters with links to clear them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from opportune.admin.lists.filters import VALUELESS_OPERATIONS, has_operator
from opportune.admin.lists.parameters import ORDER_PARAMETERS, list_narrowing_parameters
from opportune.admin.protocols import View


@dataclass(frozen=True)
class ActiveFilter:
    text: str
    clear_url: str
    """Address of the list without this filter."""


@dataclass(frozen=True)
class FilterControl:
    filter: Any
    options: Sequence[tuple[str, str]]
    selected: Collection[str] = ()


async def list_context(request: Request, view: View) -> dict[str, Any]:
    controls = [await _build_control(request, view, filter_) for filter_ in view.get_filters()]
    search = request.query_params.get("search", "").strip()
    active = [ActiveFilter(f"“{search}”", _url_without(request, {"search"}))] if search else []
    active += [filter_ for control in controls for filter_ in _active_filters(request, control)]
    return {
        "filters": controls,
        "active_filters": active,
        "clear": _url_without(request, request.query_params.keys() - ORDER_PARAMETERS),
        "is_narrowed": any(request.query_params.get(name) for name in list_narrowing_parameters(view)),
    }


async def _build_control(request: Request, view: View, filter_: Any) -> FilterControl:
    if has_operator(filter_):
        return FilterControl(filter_, filter_.operations())
    options = await filter_.lookups(request, view.model, view.fetch_tuples)
    choices = [(str(value), label) for value, label in options if value not in ("", "all", "__all")]
    return FilterControl(filter_, choices, request.query_params.getlist(filter_.parameter_name))


def _active_filters(request: Request, control: FilterControl) -> Iterator[ActiveFilter]:
    name, title, labels = control.filter.parameter_name, control.filter.title, dict(control.options)
    for text in dict.fromkeys(filter(None, control.selected)):
        yield ActiveFilter(f"{title}: {labels.get(text, text)}", _url_without(request, {name}, text))
    operation, text = (request.query_params.get(key, "").strip() for key in (f"{name}_op", name))
    if has_operator(control.filter) and operation in labels and (text or operation in VALUELESS_OPERATIONS):
        label = labels[operation] if operation in VALUELESS_OPERATIONS else f"{labels[operation]} {text}"
        yield ActiveFilter(f"{title} {label}", _url_without(request, {name, f"{name}_op"}))


def _url_without(request: Request, names: Collection[str], value: str = "") -> str:
    """Return the address of the first page without these parameters. With `value`, remove only that value."""
    params = [
        (name, text)
        for name, text in request.query_params.multi_items()
        if text and name != "page" and not (name in names and value in ("", text))
    ]
    return f"{request.url.path}?{urlencode(params)}" if params else request.url.path
