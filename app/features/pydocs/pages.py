from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.core.web.templating import is_htmx, templates
from app.features.pydocs.current import Asked, Index
from app.features.pydocs.schemas import DEEPEST, NoIndex

router = APIRouter(prefix="/pydocs")


@router.get("")
async def search(request: Request, index: Index, asked: Asked) -> Response:
    results = status = None
    try:
        results = await index.find(asked.q, limit=asked.size, page=asked.page)
        if is_htmx(request):
            return templates.block(request, "pydocs/search.html", "found", {"results": results, "deepest": DEEPEST})
        status = await index.status()
    except NoIndex:
        """The page says what makes one."""
    context = {"results": results, "deepest": DEEPEST, "status": status, "command": NoIndex.COMMAND}
    return templates.page(request, "pydocs/search.html", context)


@router.get("/")
async def elsewhere() -> Response:
    return RedirectResponse("/pydocs", 308)


@router.get("/{slug:path}")
async def entry(request: Request, index: Index, slug: str) -> Response:
    return templates.page(request, "pydocs/entry.html", {"entry": await index.entry(slug)})
