"""Query parameters of a list. Unknown parameters are errors, because without a misspelt filter more rows match."""

from collections.abc import Iterator
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from opportune.admin.lists.filters import has_operator
from opportune.admin.protocols import Pages
from opportune.pagination import TRACKING_PARAMETER

ORDER_PARAMETERS = {"page", "pageSize", "sort", "sortBy", "columns", "view"}
"""Parameters that keep all rows. `view` is the id of the saved view that the list began with, or `plain`."""


def list_narrowing_parameters(view: Pages) -> set[str]:
    """Return the parameters that reduce the rows of a list: search, filters and `list_parameters` of the view."""
    return {
        "search",
        *view.list_parameters,
        *(name for filter_ in view.get_filters() for name in _filter_parameters(filter_)),
    }


def _filter_parameters(filter_: Any) -> Iterator[str]:
    yield filter_.parameter_name
    if has_operator(filter_):
        yield f"{filter_.parameter_name}_op"


def allowed_parameters(view: Pages) -> set[str]:
    return ORDER_PARAMETERS | list_narrowing_parameters(view)


def refuse_unknown_parameters(request: Request, view: Pages) -> None:
    """Refuse parameters that the list does not have. Tracking parameters are ignored.

    Raises:
        RequestValidationError: A parameter is unknown. The error lists all of them.
    """
    allowed = allowed_parameters(view)
    unknown = [name for name in request.query_params if name not in allowed and not TRACKING_PARAMETER.fullmatch(name)]
    if faults := [_unknown_parameter_error(name) for name in unknown]:
        raise RequestValidationError(faults)


def _unknown_parameter_error(name: str) -> dict[str, Any]:
    return {"type": "extra_forbidden", "loc": ("query", name), "msg": "Extra inputs are not permitted", "input": None}
