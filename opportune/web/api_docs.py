"""Swagger UI at /api/docs, from an installed wheel: no CDN, and no inline script."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from opportune.web.rendering.templates import templates

OPENAPI = "/api/openapi.json"

router = APIRouter()


@router.get(OPENAPI)
async def openapi(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/api/docs")
async def docs(request: Request) -> HTMLResponse:
    return templates.render(request, "apidocs.html", {"openapi": OPENAPI})
