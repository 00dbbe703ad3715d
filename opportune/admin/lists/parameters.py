"""Query parameters of a list. Unknown parameters are errors, because without a misspelt filter more rows match."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from opportune.admin.lists.filters import ComparisonFilter, ListFilter, parameters_of
from opportune.admin.lists.positions import POSITION
from opportune.admin.protocols import Pages
from opportune.crud.filters import MAX_FILTER_VALUES
from opportune.i18n import gettext
from opportune.pagination import TRACKING_PARAMETER

ORDER_PARAMETERS = {"page", POSITION, "pageSize", "sort", "sortBy", "columns", "view"}
"""Parameters that keep all rows. `view` is the id of the saved view that the list began with, or `plain`."""
FACETS = "_facets"
"""Parameter that requests the number of rows beside each choice of the filters."""


def list_narrowing_parameters(view: Pages) -> set[str]:
    """Return the parameters that reduce the rows of a list: search, filters and `list_parameters` of the view."""
    hierarchy = view.get_date_hierarchy()
    return {
        "search",
        *view.list_parameters,
        *(hierarchy.parameters if hierarchy else ()),
        *(name for filter_ in view.get_filters() for name in parameters_of(filter_)),
    }


def allowed_parameters(view: Pages) -> set[str]:
    return ORDER_PARAMETERS | {FACETS} | list_narrowing_parameters(view)


def effective_parameters(request: Request, view: Pages) -> list[tuple[str, str]]:
    """Return the parameters of a list in machine format, without empty, repeated and overridden ones of forms."""
    query, droppable = request.query_params, allowed_parameters(view) - {*view.list_parameters}
    filters = [filter_ for filter_ in view.get_filters() if isinstance(filter_, ListFilter)]
    dropped = {name for each in filters for name in {*each.parameters} - {*each.effective_parameters(query)}}
    ranges = [each for each in filters if isinstance(each, ComparisonFilter) and each.end_names]
    typed = {name: each for each in ranges for name in (each.parameter_name, *each.end_names)}
    items = [(name, text) for name, text in query.multi_items() if name not in dropped]
    params = [(name, typed[name].to_machine_format(text) if name in typed else text) for name, text in items]
    return list(dict.fromkeys((name, text) for name, text in params if text.strip() or name not in droppable))


def url_without(
    request: Request, names: Collection[str], value: str = "", extra: Sequence[tuple[str, object]] = ()
) -> str:
    """Return the address of the first page without these parameters. With `value`, remove only that value."""
    params = [
        (name, text)
        for name, text in request.query_params.multi_items()
        if text and name not in ("page", POSITION) and not (name in names and value in ("", text))
    ]
    params += [(name, str(text)) for name, text in extra]
    return f"{request.url.path}?{urlencode(params)}" if params else request.url.path


def refuse_unknown_parameters(request: Request, view: Pages) -> None:
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
