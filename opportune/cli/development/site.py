"""Application of the development server. It shows import errors in the browser until they are fixed."""

import logging

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from opportune.config.settings import get_settings
from opportune.project.modules import application
from opportune.web.errors.debug_page import CODE_VERSION_PATH, code_version, debug_context
from opportune.web.errors.error_hints import hint_for
from opportune.web.middleware.security_headers import security_headers
from opportune.web.rendering.templates import templates
from opportune.web.static.files import STATIC_URL, assets

logger = logging.getLogger("opportune")

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def create_app() -> FastAPI | ASGIApp:
    try:
        site: FastAPI = application()  # the import may fail
        return site
    except Exception as error:
        if get_settings().environment != "development":
            raise
        logger.exception("The site cannot start.")
        return _startup_error_app(error)


def _startup_error_app(error: Exception) -> Starlette:
    """Return an application with a single page that shows the error."""
    context = {
        "status": 500,
        "title": f"{type(error).__name__}: {error}",
        "hint": hint_for(error),
        "request": None,
        **debug_context(error, get_settings()),
    }
    html = templates.environment.get_template("startup_error.html").render(context)
    headers = {name.decode(): value.decode() for name, value in security_headers()}

    async def show_error(_request: Request) -> Response:
        return HTMLResponse(html, 500, headers)

    async def show_version(_request: Request) -> Response:
        return JSONResponse({"saved": code_version()})

    routes = [Route(CODE_VERSION_PATH, show_version), Route("/{path:path}", show_error, methods=METHODS)]
    return Starlette(routes=[Mount(STATIC_URL, assets), *routes])
