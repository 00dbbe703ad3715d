"""Pages of the documentation, for development."""

import asyncio
import re
from typing import Annotated

from fastapi import Query, Request, Response

from opportune.contrib.documentation.content import page_names, sections_of, with_site_links
from opportune.contrib.documents import MAX_RANKED_HITS
from opportune.errors import NotFound
from opportune.search import SearchQuery
from opportune.web import is_htmx, markdown, templates
from opportune.web.routing.api_router import APIRouter

PAGE_TYPES = ("Tutorial", "How-to guide", "Reference", "Explanation")
PAGE_TYPE = re.compile(rf"^\*({'|'.join(PAGE_TYPES)})\.\*", re.MULTILINE)
"""The beginning of each page but the first."""

router = APIRouter(prefix="/docs")


@router.get("")
async def search_documentation(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
    search = await request.app.state.documentation.search()
    results = await search.find(query.q, limit=query.size, page=query.page)
    titles = await asyncio.to_thread(titles_by_type)
    context = {"results": results, "max_hits": MAX_RANKED_HITS, "titles": titles}
    if is_htmx(request):
        return templates.render_block(request, "documentation/search.html", "found", context)
    return templates.render(request, "documentation/search.html", context)


def titles_by_type() -> dict[str, dict[str, str]]:
    """Return the titles of all pages by name, grouped by the type of page."""
    titles: dict[str, dict[str, str]] = {type_: {} for type_ in PAGE_TYPES}
    for name in page_names():
        beginning = sections_of(name)[0]
        if type_ := PAGE_TYPE.search(beginning.markdown):
            titles[type_[1]][name] = beginning.title
    return titles


@router.get("/{page:path}")
async def show_page(request: Request, page: str) -> Response:
    name = page.removesuffix(".md")
    if name not in page_names():
        raise NotFound
    sections = await asyncio.to_thread(sections_of, name)
    parts = [(section.anchor, await markdown.render_in_thread(with_site_links(section))) for section in sections]
    context = {"title": sections[0].title, "parts": parts, "sections": sections[1:]}
    return templates.render(request, "documentation/page.html", context)
