"""`/mcp`: whoever has a token of somebody, their assistant say, lists the site's tools and has them called."""

from fastapi import APIRouter, HTTPException, Request, Response

from opportune.accounts.dependencies import read_program
from opportune.accounts.models import ApiToken, User
from opportune.accounts.sessions.lookup import Grants
from opportune.accounts.tokens.bearer import read_bearer_token
from opportune.contrib.mcp.lazy_import import load
from opportune.contrib.mcp.oauth.addresses import MCP_PATH, RESOURCE_METADATA_PATH, address_of
from opportune.web.rate_limit import RateLimit

CALLS = RateLimit("mcp.calls", 600, storage="cache")
NO_TOKEN = "Send a token: Authorization: Bearer …"

OTHER_ORIGIN = "Pages of other sites may not send messages here."

router = APIRouter()


@router.post(MCP_PATH)
async def answer(request: Request) -> Response:
    """One message of the protocol, answered as JSON; no state is kept between two."""
    if _is_of_another_site(request):
        raise HTTPException(403, OTHER_ORIGIN)
    found = await _read_program(request)
    if found is None:
        raise HTTPException(401, NO_TOKEN, {"WWW-Authenticate": _challenge(request)})
    token, user, _ = found
    await request.app.state.rate_limiter.hit(CALLS.by(user.id))
    await load("opportune.contrib.mcp.server")
    from opportune.contrib.mcp.server import McpResponse, caller_for  # noqa: PLC0415 - the MCP library is slow

    return McpResponse(caller_for(request, user, token), request.app.state.settings.site_name)


@router.get(MCP_PATH)
@router.delete(MCP_PATH)
async def refuse() -> Response:
    """There are no sessions to end, and nothing is told that was not asked for."""
    raise HTTPException(405, headers={"Allow": "POST"})


def _is_of_another_site(request: Request) -> bool:
    """Whether a page of another origin sends this, which the protocol has servers refuse (DNS rebinding)."""
    origin = request.headers.get("origin")
    own = (request.app.state.settings.base_url, f"{request.url.scheme}://{request.url.netloc}")
    return origin is not None and origin.lower() not in [each.lower() for each in own]


async def _read_program(request: Request) -> tuple[ApiToken, User, Grants] | None:
    """Whose token it is: of a program that they have let in, or one that they have made."""
    if not read_bearer_token(request):
        return None
    await load("opportune.contrib.mcp.oauth.strategy")
    from opportune.contrib.mcp.oauth.strategy import McpTokenStrategy  # noqa: PLC0415 - PyJWT, which few sites want

    state = request.app.state
    return await read_program(request, McpTokenStrategy(state.settings, state.database))


def _challenge(request: Request) -> str:
    metadata = address_of(request.app.state.settings, RESOURCE_METADATA_PATH)
    error = 'error="invalid_token", ' if read_bearer_token(request) else ""
    return f'Bearer {error}resource_metadata="{metadata}"'
