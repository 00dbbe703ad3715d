"""`/mcp`: whoever has a token of somebody, their assistant say, lists the site's tools and has them called."""

import asyncio
from importlib import import_module

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from opportune.accounts.dependencies import read_program
from opportune.mail.email import site_url
from opportune.web.rate_limit import RateLimit

PATH = "/mcp"
METADATA_PATH = f"/.well-known/oauth-protected-resource{PATH}"
CALLS = RateLimit("mcp.calls", 600, storage="cache")

router = APIRouter()


@router.post(PATH)
async def answer(request: Request) -> Response:
    """One message of the protocol, answered as JSON; no state is kept between two."""
    found = await read_program(request)
    if found is None:
        challenge = f'Bearer resource_metadata="{address_of(request, METADATA_PATH)}"'
        raise HTTPException(401, "Send a token of yours: Authorization: Bearer …", {"WWW-Authenticate": challenge})
    token, user, _ = found
    await request.app.state.rate_limiter.hit(CALLS.by(user.id))
    await asyncio.to_thread(import_module, "opportune.mcp.server")  # which takes half a second, once
    from opportune.mcp.server import McpResponse, caller_for  # noqa: PLC0415 - as just said

    return McpResponse(caller_for(request, user, token), request.app.state.settings.site_name)


@router.get(PATH)
@router.delete(PATH)
async def refuse() -> Response:
    """There are no sessions to end, and nothing is told that was not asked for."""
    raise HTTPException(405, headers={"Allow": "POST"})


@router.get(METADATA_PATH)
async def metadata(request: Request) -> Response:
    """Where tokens come from, as RFC 9728 has it."""
    return JSONResponse(
        {
            "resource": address_of(request, PATH),
            "bearer_methods_supported": ["header"],
            "resource_documentation": address_of(request, "/accounts/tokens"),
        }
    )


def address_of(request: Request, path: str) -> str:
    return f"{site_url(request.app.state.settings)}{path}"
