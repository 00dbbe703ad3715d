"""Swagger UI at /api/docs, from an installed wheel: no CDN, and no inline script."""

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from app.core.web.templating import templates

OPENAPI = "/api/openapi.json"


def add_routes(app: FastAPI) -> None:
    @app.get(OPENAPI, include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.get("/api/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return templates.page(request, "apidocs.html", {"openapi": OPENAPI})
