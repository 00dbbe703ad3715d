"""Parameters in the address of a list. An unknown one is an error: ignoring a misspelt filter shows too many rows."""

from collections.abc import Iterator
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from opportune.admin.protocols import Pages
from opportune.pagination import TRACKING_PARAMETER

ORDER_PARAMETERS = {"page", "pageSize", "sort", "sortBy"}


def narrowing_parameters(view: Pages) -> set[str]:
    """Parameters that leave out rows: the search, the filters and those that the view itself reads."""
    return {"search", *view.list_parameters, *(name for each in view.get_filters() for name in _names(each))}


def _names(chosen: Any) -> Iterator[str]:
    yield chosen.parameter_name
    if getattr(chosen, "has_operator", False):
        yield f"{chosen.parameter_name}_op"


def known_parameters(view: Pages) -> set[str]:
    return ORDER_PARAMETERS | narrowing_parameters(view)


def refuse_unknown_parameters(request: Request, view: Pages) -> None:
    """Refuse a parameter that the list does not have. Tracking parameters are ignored.

    Raises:
        RequestValidationError: it names each of them.
    """
    unknown = [name for name in request.query_params if name not in known_parameters(view)]
    if faults := [_fault(name) for name in unknown if not TRACKING_PARAMETER.fullmatch(name)]:
        raise RequestValidationError(faults)


def _fault(name: str) -> dict[str, Any]:
    return {"type": "extra_forbidden", "loc": ("query", name), "msg": "Extra inputs are not permitted", "input": None}
