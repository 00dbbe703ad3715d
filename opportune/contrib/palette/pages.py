"""The page /search, and its results for the command palette."""

from fastapi import Request, Response

from opportune.accounts.dependencies import OptionalUser
from opportune.contrib.palette.entries import CrudSearch, action_entries, feature_sources, page_entries
from opportune.db.sessions.dependencies import ReadSession
from opportune.search.everything import SearchOutcome, matching_entries
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
    outcome, crud_search = SearchOutcome(query), CrudSearch(request, session, user)
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
