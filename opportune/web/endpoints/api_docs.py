"""Swagger UI at /api/docs. Its files come from an installed wheel, so it needs no CDN and no inline scripts."""

import asyncio

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import APIRouter

OPENAPI = "/api/openapi.json"

router = APIRouter()


@router.get(OPENAPI)
async def openapi(request: Request) -> JSONResponse:
    return await asyncio.to_thread(_render_openapi, request.app)


def _render_openapi(app: FastAPI) -> JSONResponse:
    return JSONResponse(app.openapi())


@router.get("/api/docs")
async def docs(request: Request) -> HTMLResponse:
    return templates.render(request, "apidocs.html", {"openapi": OPENAPI})
