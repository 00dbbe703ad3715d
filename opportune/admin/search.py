"""Search over everything in the admin: menu, actions, and rows of all models that the user may list."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import is_superuser, may_list, page_of_row
from opportune.admin.lists.parameters import narrow_by_index, searched_paths
from opportune.admin.lists.row_keys import row_url
from opportune.admin.views import AdminView
from opportune.db.models.labels import title_of
from opportune.db.queries.matching import is_exact_match, read_first
from opportune.i18n import gettext, lower_name
from opportune.project.layout import is_framework_class
from opportune.search.everything import HITS_PER_GROUP, Entry, EntryGroup, SearchOutcome, Source, matching_entries
from opportune.search.query import clean_query
from opportune.web.rate_limit import RateLimit
from opportune.web.rendering.templates import is_htmx

SEARCHES_PER_USER = RateLimit("admin.search", 300, 60, storage="cache")
OVERVIEW = "ti ti-layout-dashboard"
CONTROLS = (
    Entry("View site", "/", "ti ti-external-link"),
    Entry("Your account", "/accounts/profile", "ti ti-user-circle"),
    Entry("Switch between light and dark", "#theme", "ti ti-moon"),
    Entry("Keys", "#show-keys", "ti ti-keyboard"),
    Entry("Sign out", "#sign-out", "ti ti-logout"),
)


async def search_page(request: Request, site: Any) -> Response:
    """Render the page with all results, or only the palette for its script."""
    await request.app.state.rate_limiter.hit(SEARCHES_PER_USER.by(request.state.user.id))
    outcome = await search_everything(request, site, clean_query(request.query_params.get("q", "")))
    context = {"outcome": outcome, "title": gettext("Search"), "search_url": request.url.path}
    template = "palette/palette.html" if is_htmx(request) else "admin/search.html"
    response: Response = await site.templates.TemplateResponse(request, template, context)
    response.headers["Cache-Control"] = "no-store"
    return response


async def search_everything(request: Request, site: Any, query: str) -> SearchOutcome:
    outcome = SearchOutcome(query)
    outcome.add(matching_entries("Pages", _pages(request, site), query))
    outcome.add(matching_entries("Actions", [*await _additions(request, site), *CONTROLS], query))
    async with site.database.reader() as session:
        await outcome.add_rows(list(_sources(request, site, session, query)))
    return outcome


def _pages(request: Request, site: Any) -> Iterator[Entry]:
    """Yield the entries of the menu, and the pages and buttons of Operations."""
    yield Entry(gettext("Overview"), str(request.url_for("admin:index")), OVERVIEW)
    for _heading, entries in site.menu_groups(request):
        yield from (Entry(label, href, icon) for icon, label, href, *_ in entries)
    if is_superuser(request) and any(view.identity == "operations" for view in site.views):
        url = str(request.url_for("admin:view-operations"))
        labels = chain.from_iterable(feature.admin.operations for feature in request.app.state.features)
        yield from (Entry(label, url, "ti ti-tool") for label in labels)


async def _additions(request: Request, site: Any) -> Sequence[Entry]:
    return [
        Entry(
            gettext("Add %(name)s", name=lower_name(view.name)),
            str(request.url_for("admin:create", identity=view.identity)),
            "ti ti-plus",
        )
        for view in site.row_views
        if view.is_accessible(request) and await view.check_can_create(request)
    ]


def _sources(request: Request, site: Any, session: AsyncSession, query: str) -> Iterator[tuple[str, Source]]:
    # The project's rows come first, then those of the framework, such as the audit log.
    for view in sorted(site.row_views, key=lambda view: is_framework_class(view.model)):
        if view.names.searched:
            yield view.name_plural, partial(_search_view, request, view, session, query)


async def _search_view(request: Request, view: AdminView, session: AsyncSession, query: str) -> EntryGroup | None:
    """Return the rows of a model with exactly this text, then the newest matching rows."""
    if not await may_list(request, view):
        return None
    await narrow_by_index(session, view, query)
    matching = view.search_query(view.list_query(request), query).options(*view.queries.loading(()))
    newest_first = matching.order_by(*(key.desc() for key in view.pk_columns))
    exact = is_exact_match(searched_paths(view), query)
    rows = await read_first(session, newest_first, exact, HITS_PER_GROUP + 1)
    list_url = f"{request.url_for('admin:list', identity=view.identity)}?{urlencode({'search': query})}"
    entries = [_row_entry(request, view, row, list_url) for row in rows[:HITS_PER_GROUP]]
    return EntryGroup(view.name_plural, entries, list_url if len(rows) > HITS_PER_GROUP else "")


def _row_entry(request: Request, view: Any, row: Any, list_url: str) -> Entry:
    """Return the link to the first page of a row that the user may open, else to the list with the search."""
    page = page_of_row(request, view)
    return Entry(title_of(row), str(row_url(request, view, page, row)) if page else list_url, view.icon)
