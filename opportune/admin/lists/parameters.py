"""Query parameters of a list: the rows that they select, and the URLs of the list.

Unknown parameters are errors, because without a misspelt filter more rows match.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from pydantic import PositiveInt, TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.admin.lists.filters import ListFilter
from opportune.admin.lists.range_filters import RangeFilter
from opportune.admin.lists.view_filters import apply_filter, parameters_of
from opportune.crud.query_schema import MAX_FILTER_VALUES
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path
from opportune.i18n import gettext
from opportune.pagination import TRACKING_PARAMETER

POSITION = "position"
"""Parameter with the position of a page of a large list: `last`, `after:KEY` or `before:KEY`."""
ORDER_PARAMETERS = {"page", POSITION, "pageSize", "sort", "sortBy", "columns"}
FACETS = "_facets"
"""Parameter that requests the number of rows beside each choice of the filters."""
NUMBER = TypeAdapter(PositiveInt)
NarrowedSearch = tuple[str, Sequence[ColumnElement[bool]]]
_narrowed_search: ContextVar[NarrowedSearch] = ContextVar("narrowed_search", default=("", ()))
"""The words of the current search and a condition that limits it, from the search index of the model."""


async def filtered_query(request: Request, view: BaseAdminView) -> Select[Any]:
    """Select the rows that match the search and filters of the URL.

    Raises:
        RequestValidationError: The list does not have one of the parameters.
    """
    refuse_unknown_parameters(request, view)
    statement = view.list_query(request)
    query = request.query_params
    for filter_ in view.get_filters():
        statement = await apply_filter(statement, filter_, query, view.model)
    hierarchy = visible_hierarchy(view)
    if hierarchy and (condition := hierarchy.condition(query)) is not None:
        statement = statement.where(condition)
    if not (term := query.get("search")):
        return statement
    async with view.session_maker() as session:
        await narrow_by_index(session, view, term)
    return view.search_query(statement, term)


async def narrow_by_index(session: AsyncSession, view: BaseAdminView, term: str) -> None:
    """Find the words in the search index of the model, if there is one. It limits the next `search_query`."""
    _narrowed_search.set((term, await narrow_search(session, searched_paths(view), term)))


def search_conditions(view: BaseAdminView, term: str) -> list[ColumnElement[bool]]:
    """Return the conditions for rows that contain the words, also in the search index if it was read for them."""
    words, narrowed = _narrowed_search.get()
    return [*matching_words(searched_paths(view), term), *(narrowed if words == term else ())]


def searched_paths(view: BaseAdminView) -> Sequence[AttributePath]:
    return [parse_path(view.mapper, path) for path in view.names.searched]


def visible_hierarchy(view: BaseAdminView) -> Any:
    """Return the date hierarchy of the list, or None if it has none or the current user may not see its column."""
    return None if view.hierarchy is None or view.names.hides(view.hierarchy.name) else view.hierarchy


def list_narrowing_parameters(view: BaseAdminView) -> set[str]:
    """Return the parameters that reduce the rows of a list: search, filters and `list_parameters` of the view."""
    names = {"search", *view.list_parameters}
    if hierarchy := visible_hierarchy(view):
        names |= {*hierarchy.parameters}
    return names.union(*map(parameters_of, view.get_filters()))


def allowed_parameters(view: BaseAdminView) -> set[str]:
    return order_parameters(view) | {FACETS} | list_narrowing_parameters(view)


def order_parameters(view: BaseAdminView) -> set[str]:
    """Return the parameters that keep all rows."""
    return {*ORDER_PARAMETERS} | view.site.extensions.list_parameters


async def clean_list_url(request: Request, view: BaseAdminView) -> str:
    """Return the URL of the list without parameters that have no effect, or an empty text if there are none."""
    params = effective_parameters(request, view)
    if params == request.query_params.multi_items():
        return ""
    if not params:
        return await view.site.extensions.plain_list_url(request, view)
    return f"{request.url.path}?{urlencode(params)}"


def effective_parameters(request: Request, view: BaseAdminView) -> list[tuple[str, str]]:
    """Return the parameters of a list in machine format, without empty, repeated and overridden ones of forms."""
    query = request.query_params
    droppable = allowed_parameters(view) - {*view.list_parameters}  # unknown ones stay, and are refused
    overridden: set[str] = set()
    filters_of_ranges: dict[str, RangeFilter] = {}
    for filter_ in view.get_filters():
        if isinstance(filter_, ListFilter):
            overridden |= {*filter_.parameters} - {*filter_.effective_parameters(query)}
        if isinstance(filter_, RangeFilter):
            filters_of_ranges |= dict.fromkeys((filter_.parameter_name, *filter_.end_names), filter_)
    params: dict[tuple[str, str], None] = {}
    for name, text in query.multi_items():
        value = filters_of_ranges[name].to_machine_format(text) if name in filters_of_ranges else text
        if name not in overridden and (value.strip() or name not in droppable):
            params[name, value] = None
    return list(params)


def url_without(request: Request, names: Collection[str], value: str = "", /, **added: object) -> str:
    """Return the URL of the first page without these parameters. With `value`, remove only that value.

    `added` has parameters to add.
    """
    params: list[tuple[str, object]] = [
        (name, text)
        for name, text in request.query_params.multi_items()
        if text and name not in ("page", POSITION) and not (name in names and value in ("", text))
    ]
    params += added.items()
    return f"{request.url.path}?{urlencode(params)}" if params else request.url.path


def url_with(request: Request, **values: object) -> str:
    """Return the URL of the first page, or of the page in the values, with these parameters."""
    return url_without(request, values, **values)


def refuse_unknown_parameters(request: Request, view: BaseAdminView) -> None:
    """Refuse parameters that the list does not have, and filters with too many values. Ignore tracking parameters.

    Raises:
        RequestValidationError: A parameter is unknown or has too many values. The error lists all of them.
    """
    allowed = allowed_parameters(view)
    faults = []
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name in allowed and count > MAX_FILTER_VALUES:
            too_many = gettext("Please select at most %(number)s values.", number=MAX_FILTER_VALUES)
            faults.append(_parameter_error(name, "too_many_values", too_many))
        elif name not in allowed and not TRACKING_PARAMETER.fullmatch(name):
            faults.append(_parameter_error(name, "extra_forbidden", "Extra inputs are not permitted"))
    if faults:
        raise RequestValidationError(faults)


def read_number(request: Request, name: str, default: int) -> int:
    """Return the number in a parameter.

    Raises:
        RequestValidationError: The parameter is not a number of at least 1.
    """
    try:
        return NUMBER.validate_strings(request.query_params.get(name) or str(default))
    except ValidationError as error:
        raise RequestValidationError([{**fault, "loc": ("query", name)} for fault in error.errors()]) from None


def _parameter_error(name: str, type_: str, message: str) -> dict[str, Any]:
    return {"type": type_, "loc": ("query", name), "msg": message, "input": None}
