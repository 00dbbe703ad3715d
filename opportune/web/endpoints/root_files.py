"""`/favicon.ico` and `/robots.txt`, from `static/`."""

import asyncio
import re
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from opportune.web.language import language_prefixes
from opportune.web.routing.api_router import APIRouter
from opportune.web.static.files import assets

METHODS = ["GET", "HEAD"]
RULE = re.compile(r"^((?:dis)?allow: *)(/.*)$", re.IGNORECASE | re.MULTILINE)

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
    """Return `robots.txt`, whose rules also apply to URLs with a language."""
    path, _ = await asyncio.to_thread(assets.lookup_path, "robots.txt")
    prefixes = language_prefixes(request.app.state.settings).values()
    if not prefixes or not path:
        return await assets.get_response("robots.txt", request.scope)
    text = await asyncio.to_thread(Path(path).read_text)

    def repeat_with_prefixes(rule: re.Match[str]) -> str:
        return "\n".join(f"{rule[1]}{prefix}{rule[2]}" for prefix in prefixes)

    return PlainTextResponse(RULE.sub(repeat_with_prefixes, text))
