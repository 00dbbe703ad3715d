"""Small pages: `/favicon.ico` and `/robots.txt`, previews of Markdown fields, and pages for developers."""

import asyncio
import re
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from opportune.web.language import language_prefixes
from opportune.web.rate_limit import RateLimit
from opportune.web.rendering import markdown
from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import APIRouter
from opportune.web.static.files import assets

METHODS = ["GET", "HEAD"]
RULE = re.compile(r"^((?:dis)?allow: *)(/.*)$", re.IGNORECASE | re.MULTILINE)
MAX_PREVIEW_LENGTH = 20_000
"""Characters to render. Longer texts are cut."""
OPENAPI = "/api/openapi.json"

router = APIRouter(include_in_schema=False)
api_docs = APIRouter()
"""Swagger UI. Its files come from an installed wheel, so it needs no CDN and no inline scripts."""
component_gallery = APIRouter(include_in_schema=False)


@router.api_route("/favicon.ico", methods=METHODS)
async def favicon(request: Request) -> Response:
    """Return the project's `favicon.ico`, or else the SVG logo, which current browsers accept."""
    try:
        return await assets.get_response("favicon.ico", request.scope)
    except HTTPException:
        return await assets.get_response("icon.svg", request.scope)


@router.api_route("/robots.txt", methods=METHODS)
async def robots(request: Request) -> Response:
    """Return `robots.txt`, whose rules also apply to URLs with a language."""
    path, _ = await asyncio.to_thread(assets.lookup_path, "robots.txt")
    prefixes = language_prefixes(request.app.state.settings).values()
    if not prefixes or not path:
        return await assets.get_response("robots.txt", request.scope)
    text = await asyncio.to_thread(Path(path).read_text)

    def repeat_with_prefixes(rule: re.Match[str]) -> str:
        return "\n".join(f"{rule[1]}{prefix}{rule[2]}" for prefix in prefixes)

    return PlainTextResponse(RULE.sub(repeat_with_prefixes, text))


@router.post("/markdown-preview", dependencies=[Depends(RateLimit("web.markdown_preview", 300, 60, storage="cache"))])
async def preview_markdown(text: Annotated[str, Form()] = "") -> HTMLResponse:
    """Render a field for `fields.js` while the user types, in a thread, because long texts take time."""
    return HTMLResponse(await markdown.in_thread(lambda: markdown.render(text[:MAX_PREVIEW_LENGTH])))


@api_docs.get(OPENAPI)
async def openapi(request: Request) -> JSONResponse:
    return await asyncio.to_thread(lambda: JSONResponse(request.app.openapi()))


@api_docs.get("/api/docs")
async def docs(request: Request) -> HTMLResponse:
    return templates.render(request, "apidocs.html", {"openapi": OPENAPI})


@component_gallery.get("/_components")
async def show_components(request: Request) -> Response:
    """Show the macros in `templates/macros/components.html`."""
    return templates.render(request, "components.html")
