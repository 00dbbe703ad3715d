"""The page /search, whose results are also those of the command palette.

Results are pages, actions, rows of models with `CrudPages`, and those of the `searches` of features.
"""

from functools import partial
from itertools import chain
from urllib.parse import urlencode

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import OptionalUser
from opportune.accounts.models import User
from opportune.contrib.palette.crud_search import CrudSearch
from opportune.contrib.palette.entries import action_entries, link_entry, page_entries
from opportune.db.sessions.dependencies import ReadSession
from opportune.feature import SiteSearch
from opportune.i18n import gettext
from opportune.search.everything import HITS_PER_GROUP, EntryGroup, SearchOutcome, matching_entries
from opportune.search.query import clean_query
from opportune.web.client import client_address
from opportune.web.language import without_prefix
from opportune.web.rate_limit import RateLimit
from opportune.web.rendering.templates import is_htmx, templates
from opportune.web.routing.api_router import APIRouter

router = APIRouter()
SEARCHES_PER_CLIENT = RateLimit("palette.search", 300, 60, storage="cache")


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
    searches = chain.from_iterable(feature.site.searches for feature in request.app.state.features)
    sources = [(declared.label, partial(_search_feature, declared, session, user, query)) for declared in searches]
    await outcome.add_rows([*crud_search.sources(query), *sources])
    context = {"outcome": outcome, "search_url": "/search"}
    template = "palette/palette.html" if is_htmx(request) else "palette/search.html"
    response = templates.render(request, template, context)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _search_feature(declared: SiteSearch, session: AsyncSession, user: User | None, query: str) -> EntryGroup:
    links = await declared.find(session, user, query, HITS_PER_GROUP + 1)
    has_more = declared.path and len(links) > HITS_PER_GROUP
    more_url = f"{declared.path}?{urlencode({'q': query})}" if has_more else ""
    return EntryGroup(gettext(declared.label), [*map(link_entry, links[:HITS_PER_GROUP])], more_url)
