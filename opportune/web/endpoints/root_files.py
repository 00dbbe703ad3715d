"""`/favicon.ico` and `/robots.txt`, from `static/`."""

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from opportune.web.rendering.static_files import assets

METHODS = ["GET", "HEAD"]

router = APIRouter(include_in_schema=False)


@router.api_route("/favicon.ico", methods=METHODS)
async def favicon(request: Request) -> Response:
    """Return the project's `favicon.ico`, or else the SVG logo, which current browsers accept."""
    try:
        return await assets.get_response("favicon.ico", request.scope)
    except HTTPException:
        return await assets.get_response("icon.svg", request.scope)


@router.api_route("/robots.txt", methods=METHODS)
async def robots(request: Request) -> Response:
    return await assets.get_response("robots.txt", request.scope)
