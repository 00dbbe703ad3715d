from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.pydocs.dependencies import Asked, Index
from app.pydocs.documents import python_docs
from app.pydocs.questions import topic_of
from app.pydocs.schemas import EntryRead
from opportune.accounts import OptionalUser
from opportune.llm import Answers
from opportune.search import MAX_RANKED_HITS, IndexMissing, SearchQuery
from opportune.web import is_htmx, templates

router = APIRouter(prefix="/pydocs")


@router.get("")
async def search(request: Request, index: Index, asked: Asked) -> Response:
    results = status = None
    try:
        if is_htmx(request):
            return templates.partial(await _found(request, index, asked))
        results = await index.find(asked.q, limit=asked.size, page=asked.page)
        status = await index.status()
    except IndexMissing:
        """The page says what makes one to those who can."""
    command = python_docs.command if request.app.state.settings.environment != "production" else ""
    context = {"results": results, "max_hits": MAX_RANKED_HITS, "status": status, "command": command}
    return templates.render(request, "pydocs/search.html", context)


async def _found(request: Request, index: Index, asked: SearchQuery) -> str:
    """The results alone, which depend on nothing but the address and the index."""
    edition, query = await index.edition(), request.scope["query_string"]
    part = index.fragments.get(edition, query)
    if part is None:
        results = await index.find(asked.q, limit=asked.size, page=asked.page)
        context = {"results": results, "max_hits": MAX_RANKED_HITS}
        part = templates.render_block_to_string(request, "pydocs/search.html", "found", context)
        index.fragments.set(edition, query, part)
    return part


@router.get("/")
async def elsewhere() -> Response:
    return RedirectResponse("/pydocs", 308)


@router.get("/{slug:path}")
async def entry(request: Request, index: Index, slug: str, user: OptionalUser, answers: Answers) -> Response:
    entry = EntryRead.of(await index.get(slug))
    answer = await answers.newest(topic_of(slug), user.id) if user else None
    return templates.render(request, "pydocs/entry.html", {"entry": entry, "answer": answer})
