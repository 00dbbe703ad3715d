"""The filters of a list as its page shows them: what can be chosen, and what is, each with the way to be rid of it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from opportune.admin.lists.filters import VALUELESS_OPERATIONS
from opportune.admin.lists.parameters import ORDER_PARAMETERS, narrowing_parameters
from opportune.admin.protocols import View

Options = Sequence[tuple[Any, Any]]


@dataclass(frozen=True)
class ActiveFilter:
    text: str
    without: str
    """The address of the same list without it."""


@dataclass(frozen=True)
class FilterControl:
    filter: Any
    options: Options
    chosen: Collection[str]


async def list_context(request: Request, view: View) -> dict[str, Any]:
    shown = [await _shown(request, view, each) for each in view.get_filters()]
    words = request.query_params.get("search", "").strip()
    search = [ActiveFilter(f"“{words}”", _without(request, {"search"}))] if words else []
    return {
        "filters": shown,
        "active_filters": search + [each for one in shown for each in _active_filters(request, one)],
        "clear": _without(request, {name for name in request.query_params if name not in ORDER_PARAMETERS}),
        "is_narrowed": any(request.query_params.get(name) for name in narrowing_parameters(view)),
    }


async def _shown(request: Request, view: View, chosen: Any) -> FilterControl:
    if getattr(chosen, "has_operator", False):
        return FilterControl(chosen, chosen.operations(), ())
    options = await chosen.lookups(request, view.model, view.fetch_tuples)
    offered = [(str(value), label) for value, label in options if value not in ("", "all", "__all")]
    return FilterControl(chosen, offered, request.query_params.getlist(chosen.parameter_name))


def _active_filters(request: Request, shown: FilterControl) -> Iterator[ActiveFilter]:
    name, title, asked = shown.filter.parameter_name, shown.filter.title, request.query_params
    labels = dict(shown.options)
    if getattr(shown.filter, "has_operator", False):
        operation, value = asked.get(f"{name}_op", ""), asked.get(name, "").strip()
        if operation in labels and (value or operation in VALUELESS_OPERATIONS):
            words = labels[operation] if operation in VALUELESS_OPERATIONS else f"{labels[operation]} {value}"
            yield ActiveFilter(f"{title} {words}", _without(request, {name, f"{name}_op"}))
        return
    for value in dict.fromkeys(shown.chosen):
        if value:
            yield ActiveFilter(f"{title}: {labels.get(value, value)}", _without(request, {name}, value))


def _without(request: Request, names: set[str], value: str = "") -> str:
    """This list less one value of a parameter, or all of them; from its first page, as pages change with it."""
    kept = [
        (key, text)
        for key, text in request.query_params.multi_items()
        if text and key != "page" and not (key in names and value in ("", text))
    ]
    return f"{request.url.path}?{urlencode(kept)}" if kept else request.url.path
