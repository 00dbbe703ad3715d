"""The page /search, and its results for the command palette."""

from fastapi import APIRouter, Request, Response

from opportune.accounts.dependencies import OptionalUser
from opportune.contrib.palette.entries import action_entries, page_entries
from opportune.contrib.palette.rows import CrudSearch, feature_sources
from opportune.db.sessions.dependencies import ReadSession
from opportune.search.everything import Found, clean_query, matching_entries
from opportune.web.client import client_address
from opportune.web.rate_limit import RateLimit
from opportune.web.rendering.templates import is_htmx, templates

router = APIRouter()

SEARCHES_PER_CLIENT = RateLimit("palette.search", 300, 60, storage="cache")


@router.get("/search")
async def search(request: Request, session: ReadSession, user: OptionalUser, q: str = "", at: str = "") -> Response:
    """Search pages, actions and rows. `at` is the path of the page on which the palette is open."""
    subject = f"user {user.id}" if user else client_address(request)
    await request.app.state.rate_limiter.hit(SEARCHES_PER_CLIENT.by(subject))
    found, crud_search = Found(clean_query(q)), CrudSearch(request, session, user)
    row_actions = [*await crud_search.row_actions(at), *await crud_search.additions()]
    found.add(matching_entries("Pages", await page_entries(request), found.query))
    found.add(matching_entries("Actions", [*row_actions, *action_entries(request, found.query)], found.query))
    await found.add_rows([*crud_search.sources(found.query), *feature_sources(request, session, user, found.query)])
    context = {"found": found, "search_url": "/search"}
    template = "palette/palette.html" if is_htmx(request) else "palette/search.html"
    response = templates.render(request, template, context)
    response.headers["Cache-Control"] = "no-store"
    return response
