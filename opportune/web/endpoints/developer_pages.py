"""Pages for developers: Swagger UI at /api/docs, and a gallery of components.

The files of Swagger UI come from an installed wheel, so it needs no CDN and no inline scripts.
"""

import asyncio

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import APIRouter

OPENAPI = "/api/openapi.json"

api_docs = APIRouter()
component_gallery = APIRouter(include_in_schema=False)


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
