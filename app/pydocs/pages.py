"""Pages of the documentation: search, entries, and questions to a language model."""

from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse

from app.pydocs.documents import Index, python_docs
from app.pydocs.questions import show_entry
from app.pydocs.schemas import EntryRead
from opportune.accounts import OptionalUser
from opportune.contrib.answers import Answers, QuestionForm
from opportune.contrib.documents import MAX_RANKED_HITS, IndexMissing
from opportune.search import SearchQuery
from opportune.web import APIRouter, Form, is_htmx, templates

router = APIRouter(prefix="/pydocs")


@router.get("")
async def search(request: Request, index: Index, query: Annotated[SearchQuery, Query()]) -> Response:
    results = status = None
    with suppress(IndexMissing):  # the page explains how to build the index
        if is_htmx(request):
            render = partial(_render_results, request, index, query)
            return templates.partial(await index.fragment(request.scope["query_string"], render))
        status = await index.status()
        results = await index.find(query.q, limit=query.size, page=query.page)
    command = "" if request.app.state.settings.is_production else python_docs.command
    context = {"results": results, "max_hits": MAX_RANKED_HITS, "status": status, "command": command}
    return templates.render(request, "pydocs/search.html", context)


async def _render_results(request: Request, index: Index, query: SearchQuery) -> str:
    """Render the results, which depend only on the query string and the index."""
    results = await index.find(query.q, limit=query.size, page=query.page)
    context = {"results": results, "max_hits": MAX_RANKED_HITS}
    return templates.render_block_to_string(request, "pydocs/search.html", "found", context)


@router.get("/{slug:path}")
async def entry(request: Request, index: Index, slug: str, user: OptionalUser, answers: Answers) -> Response:
    if not slug:
        return RedirectResponse("/pydocs", 308)
    entry = EntryRead.of(await index.get(slug))
    return await show_entry(request, entry, slug, user, answers, Form(QuestionForm))
