"""Pages of the documentation, for development."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from opportune.contrib.documentation.content import page_names, sections_of, with_site_links
from opportune.contrib.documentation.search import Documentation
from opportune.errors import NotFound
from opportune.search import MAX_RANKED_HITS, SearchQuery
from opportune.web import is_htmx, markdown, templates

router = APIRouter(prefix="/docs")


@router.get("")
async def search_documentation(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
    documentation: Documentation = request.app.state.documentation
    search = await documentation.search()
    results = await search.find(query.q, limit=query.size, page=query.page)
    titles = await asyncio.to_thread(page_titles)
    context = {"results": results, "max_hits": MAX_RANKED_HITS, "titles": titles}
    if is_htmx(request):
        return templates.render_block(request, "documentation/search.html", "found", context)
    return templates.render(request, "documentation/search.html", context)


def page_titles() -> dict[str, str]:
    """Return the titles of all pages, by name."""
    return {name: sections_of(name)[0].title for name in page_names()}


@router.get("/{page:path}")
async def show_page(request: Request, page: str) -> Response:
    name = page.removesuffix(".md")
    if name not in page_names():
        raise NotFound(f"There is no page {name} in the documentation.")
    sections = await asyncio.to_thread(sections_of, name)
    parts = [(section.anchor, await markdown.rendered(with_site_links(section))) for section in sections]
    context = {"title": sections[0].title, "parts": parts, "sections": sections[1:]}
    return templates.render(request, "documentation/page.html", context)
