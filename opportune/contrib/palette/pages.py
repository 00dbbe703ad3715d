"""The page /search, and its results for the command palette: pages, actions and rows that the user may open.

Rows are those of models with `CrudPages`, and of the `searches` of features.
"""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import OptionalUser
from opportune.accounts.feature import ACCOUNT_PAGES
from opportune.accounts.models import User
from opportune.accounts.permissions import has_permission, identity_of, matches_permission
from opportune.contrib import documentation
from opportune.crud import Crud
from opportune.crud.formats import names_of
from opportune.crud.latest import Pages, mounted_pages, open_list
from opportune.db.sessions.dependencies import ReadSession
from opportune.errors import NotFound
from opportune.feature import Link, SiteSearch
from opportune.i18n import gettext, lower_name
from opportune.search.everything import HITS_PER_GROUP, Entry, EntryGroup, SearchOutcome, Source, matching_entries
from opportune.search.query import clean_query
from opportune.web.client import client_address
from opportune.web.language import without_prefix
from opportune.web.rate_limit import RateLimit
from opportune.web.rendering.templates import is_htmx, templates
from opportune.web.routing.api_router import APIRouter
from opportune.web.static import icons

ROW_ICON = "file-text"
ICONS = (
    *("book-2", "layout-dashboard", "login-2", "logout", "mailbox", "moon", "plus", "search", "tool", "user-plus"),
    ROW_ICON,
)
icons.add(*ICONS)
router = APIRouter()
SEARCHES_PER_CLIENT = RateLimit("palette.search", 300, 60, storage="cache")


def make_entry(label: str, url: str, icon: str) -> Entry:
    """Return an entry with one of ICONS, or the icon of a feature."""
    return Entry(label, url, f"ti ti-{icon}")


def link_entry(link: Link) -> Entry:
    return make_entry(link.label, link.path, link.icon)


async def page_entries(request: Request) -> Sequence[Entry]:
    """Return the links of the navigation, the account pages, and in development the pages of the documentation."""
    navigation = chain.from_iterable(feature.site.navigation for feature in request.app.state.features)
    links = [*(link for link in navigation if _may_open(request, link)), *_account_links(request)]
    entries = [*map(link_entry, links)]
    if not request.app.state.settings.is_production:
        entries.append(make_entry("Mailbox of development", "/mailbox", "mailbox"))
    if hasattr(request.app.state, "documentation"):
        entries += await asyncio.to_thread(_documentation_entries)
    return entries


def _may_open(request: Request, link: Link) -> bool:
    if link.permission and not has_permission(request, *link.permission):
        return False
    return request.state.user is not None or not link.signed_in


def _account_links(request: Request) -> Iterator[Link]:
    user: User | None = request.state.user
    if user:
        yield from ACCOUNT_PAGES
        return
    yield Link("Sign in", "/accounts/login", "login-2")
    if request.app.state.settings.registration == "open":
        yield Link("Register", "/accounts/register", "user-plus")


def _documentation_entries() -> list[Entry]:
    titles = documentation.titles_by_type().values()
    return [make_entry(title, f"/docs/{name}", "book-2") for group in titles for name, title in group.items()]


def action_entries(request: Request, query: str) -> Iterator[Entry]:
    user: User | None = request.state.user
    if user and user.may_enter_admin:
        yield make_entry("Admin", "/admin/", "layout-dashboard")
        if query:
            # The label contains the query, so it always matches.
            yield make_entry(
                gettext("Search the admin for “%(query)s”", query=query),
                f"/admin/search?{urlencode({'q': query})}",
                "search",
            )
    yield make_entry("Switch between light and dark", "#theme", "moon")
    if user:
        yield make_entry("Sign out", "#sign-out", "logout")


@router.get("/search")
async def search(request: Request, session: ReadSession, user: OptionalUser, q: str = "", at: str = "") -> Response:
    """Search pages, actions and rows. `at` is the path of the page on which the palette is open."""
    subject = f"user {user.id}" if user else client_address(request)
    await request.app.state.rate_limiter.hit(SEARCHES_PER_CLIENT.by(subject))
    query = clean_query(q)
    outcome = SearchOutcome(query)
    crud_search = CrudSearch(request, session, user)
    actions = [
        *await crud_search.row_actions(without_prefix(request.scope, at)),
        *await crud_search.additions(),
        *action_entries(request, query),
    ]
    outcome.add(matching_entries("Pages", await page_entries(request), query))
    outcome.add(matching_entries("Actions", actions, query))
    await outcome.add_rows([*crud_search.sources(query), *feature_sources(request, session, user, query)])
    context = {"outcome": outcome, "search_url": "/search"}
    template = "palette/palette.html" if is_htmx(request) else "palette/search.html"
    response = templates.render(request, template, context)
    response.headers["Cache-Control"] = "no-store"
    return response


def feature_sources(
    request: Request, session: AsyncSession, user: User | None, query: str
) -> Iterator[tuple[str, Source]]:
    for feature in request.app.state.features:
        for declared in feature.site.searches:
            yield declared.label, partial(_search_feature, declared, session, user, query)


async def _search_feature(declared: SiteSearch, session: AsyncSession, user: User | None, query: str) -> EntryGroup:
    links = await declared.find(session, user, query, HITS_PER_GROUP + 1)
    has_more = declared.path and len(links) > HITS_PER_GROUP
    more_url = f"{declared.path}?{urlencode({'q': query})}" if has_more else ""
    return EntryGroup(gettext(declared.label), [*map(link_entry, links[:HITS_PER_GROUP])], more_url)


class CrudSearch:
    """Searches for a user, by the rules of the data layers."""

    def __init__(self, request: Request, session: AsyncSession, user: User | None) -> None:
        self.request = request
        self.session = session
        self.user = user
        self._mounted = mounted_pages(request)

    def sources(self, query: str) -> Iterator[tuple[str, Source]]:
        for pages in self._mounted:
            if pages.has("list") and pages.has("get") and "q" in pages.crud_class.Filter.model_fields:
                yield pages.plural, partial(self._search, pages, query)

    async def additions(self) -> Sequence[Entry]:
        """Return an action for each model to which the user may add rows."""
        entries = []
        for pages in self._mounted:
            crud = await self._open(pages)
            if crud and pages.may_create(crud):
                label = gettext("Add %(name)s", name=lower_name(pages.name))
                entries.append(make_entry(label, f"{pages.path}/new", "plus"))
        return entries

    async def row_actions(self, path: str) -> Sequence[Entry]:
        """Return the link from the page of a row to its page in the admin."""
        for pages in self._mounted:
            key = path.removeprefix(f"{pages.path}/")
            if key == path or "/" in key or not self._has_admin_page(pages.crud_class.model):
                continue
            if row := await self._find_row(pages, key):
                url = f"/admin/{identity_of(pages.crud_class.model)}/details/{row.id}"
                return [make_entry("Open in the admin", url, "tool")]
        return []

    async def _search(self, pages: Pages, query: str) -> EntryGroup | None:
        crud = await self._open(pages)
        if crud is None or not crud.may("list"):
            return None
        page = await crud.list(crud.Filter(q=query, size=HITS_PER_GROUP))
        titles = await names_of(self.session, page.items)
        urls = map(pages.url_of, page.items)
        entries = [make_entry(title, url, ROW_ICON) for title, url in zip(titles, urls, strict=True)]
        more_url = f"{pages.path}?{urlencode({'q': query})}" if page.total > len(entries) else ""
        return EntryGroup(pages.plural, entries, more_url)

    async def _open(self, pages: Pages) -> Crud[Any] | None:
        return await open_list(pages, self.request, self.session, self.user)

    async def _find_row(self, pages: Pages, key: str) -> Any:
        crud = await self._open(pages)
        if crud is None or not crud.may("get"):
            return None
        try:
            return await crud.get(key)
        except NotFound:
            return None

    def _has_admin_page(self, model: type[Any]) -> bool:
        """Return whether the user may open the rows of a model in the admin."""
        if self.user is None or not self.user.may_enter_admin:
            return False
        has_view = any(feature.admin.views and model in feature.models for feature in self.request.app.state.features)
        return has_view and matches_permission(self.request.state.permissions, identity_of(model), "get")
