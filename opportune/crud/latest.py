"""Lists of models that a user may open, and their newest rows, for start pages and searches."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Router

from opportune.accounts.models import User
from opportune.crud.crud import Crud
from opportune.crud.formats import names_of
from opportune.crud.page_options import PageOptions, declared_pages, pages_of
from opportune.crud.routes import open_crud
from opportune.project.layout import is_framework_class

Pages = PageOptions[Any]

MAX_LISTS = 6
"""Lists on a start page."""
MAX_ROWS = 4
"""Rows of each list on a start page."""


class LatestRows(NamedTuple):
    """The newest rows of a list."""

    pages: Pages
    rows: Sequence[tuple[str, str]]
    """Title and URL of each row. The URL is empty if rows have no page."""
    total: int
    may_create: bool


async def latest_rows(request: Request, user: User | None) -> list[LatestRows]:
    """Return the newest rows of each list with `CrudPages` that the user may open, by the rules of its data layer."""
    if not (pages := mounted_pages(request)):
        return []
    lists: list[LatestRows] = []
    async with request.app.state.database.reader() as session:
        for pages_of_model in pages:
            latest = await _read_latest(pages_of_model, request, session, user)
            if latest:
                lists.append(latest)
            if len(lists) == MAX_LISTS:
                break
    return lists


async def _read_latest(pages: Pages, request: Request, session: AsyncSession, user: User | None) -> LatestRows | None:
    crud = await open_list(pages, request, session, user) if pages.has("list") else None
    if crud is None or not crud.may("list"):
        return None
    sorts_by_time = "created_at" in crud.sort and not crud.hides("created_at")
    order = {"sort": "-created_at"} if sorts_by_time else {}
    page = await crud.list(crud.Filter(size=MAX_ROWS, **order))
    if not page.items and is_framework_class(pages.crud_class.model):
        return None  # lists of the framework, such as assistants, appear with their first row
    titles = await names_of(session, page.items)
    urls = map(pages.link_of(crud), page.items)
    return LatestRows(pages, [*zip(titles, urls, strict=True)], page.total, pages.may_create(crud))


async def open_list(pages: Pages, request: Request, session: AsyncSession, user: User | None) -> Crud[Any] | None:
    """Return the data layer, or None if the user has to sign in or to select a team first."""
    try:
        return await open_crud(pages.crud_class, request, session, user)
    except HTTPException:
        return None


def mounted_pages(request: Request) -> Sequence[Pages]:
    """Return the pages of models that are part of this site."""
    state = request.app.state
    if not hasattr(state, "mounted_pages"):
        endpoints = _endpoints_of(request.app.router)
        declared = chain.from_iterable(declared_pages.values())
        mounted = [pages for pages in declared if not endpoints.isdisjoint(_endpoints_of(pages.router))]
        models = dict.fromkeys(pages.crud_class.model for pages in mounted)
        state.mounted_pages = [pages_of(model, mounted) for model in models]
    pages: Sequence[Pages] = state.mounted_pages
    return pages


def _endpoints_of(router: Router) -> set[Any]:
    return {route.endpoint for route in router.routes if hasattr(route, "endpoint")}
