"""Rows of a list that match the search and the filters of a request."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.admin.lists.filters import apply_filter
from opportune.admin.lists.parameters import refuse_unknown_parameters, visible_hierarchy
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path

NarrowedSearch = tuple[str, Sequence[ColumnElement[bool]]]
_narrowed_search: ContextVar[NarrowedSearch] = ContextVar("narrowed_search", default=("", ()))
"""The words of the current search and a condition that limits it, from the search index of the model."""


async def filtered_query(request: Request, view: BaseAdminView) -> Select[Any]:
    """Select the rows that match the search and filters of the URL.

    Raises:
        RequestValidationError: The list does not have one of the parameters.
    """
    refuse_unknown_parameters(request, view)
    statement, query = view.list_query(request), request.query_params
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
    _narrowed_search.set((term, await narrow_search(session, _searched_paths(view), term)))


def search_conditions(view: BaseAdminView, term: str) -> list[ColumnElement[bool]]:
    """Return the conditions for rows that contain the words, also in the search index if it was read for them."""
    words, narrowed = _narrowed_search.get()
    return [*matching_words(_searched_paths(view), term), *(narrowed if words == term else ())]


def _searched_paths(view: BaseAdminView) -> Sequence[AttributePath]:
    return [parse_path(view.mapper, path) for path in view.names.searched]
