"""`/mcp`: use the site's tools, resources and prompts with a user's token."""

from fastapi import HTTPException, Request, Response

from opportune.accounts.request_credentials import record_use, token_strategy
from opportune.accounts.tokens.dependencies import read_bearer_token
from opportune.accounts.tokens.strategies import TokenMatch
from opportune.contrib.mcp.lazy_import import load
from opportune.contrib.mcp.oauth.urls import MCP_PATH, RESOURCE_METADATA_PATH, build_url
from opportune.contrib.mcp.server.message import CANCELLED, TOPIC, call_key, cancel_call, create_caller, read_message
from opportune.web import APIRouter, RateLimit

CALLS = RateLimit("mcp.calls", 600, storage="cache")
NO_TOKEN = "Send a token: Authorization: Bearer …"

OTHER_ORIGIN = "Requests from pages of other sites are not allowed."

router = APIRouter()


@router.post(MCP_PATH)
async def handle_message(request: Request) -> Response:
    """Handle a message of the protocol. The server is stateless."""
    if _has_other_origin(request):
        raise HTTPException(403, OTHER_ORIGIN)
    sign_in = await _find_token(request)
    if sign_in is None:
        raise HTTPException(401, NO_TOKEN, {"WWW-Authenticate": _challenge(request)})
    token, user, _ = sign_in
    await request.app.state.rate_limiter.hit(CALLS.by(user.id))
    message = await read_message(request)
    caller = create_caller(request, message, user, token)
    if message.method == CANCELLED and caller.session_id:
        key = call_key(user.id, caller.session_id, message.params.get("requestId"))
        cancel_call(key)
        request.app.state.database.bus.publish(TOPIC, key)
    await load("opportune.contrib.mcp.server.response")
    from opportune.contrib.mcp.server.response import McpResponse  # the MCP library is slow

    return McpResponse(caller, request.app.state.settings.site_name, message)


@router.get(MCP_PATH)
@router.delete(MCP_PATH)
async def refuse() -> Response:
    """Refuse requests for sessions and event streams, which this server does not have."""
    raise HTTPException(405, headers={"Allow": "POST"})


def _has_other_origin(request: Request) -> bool:
    """Return True for pages of other sites. The protocol requires this check against DNS rebinding."""
    origin = request.headers.get("origin")
    origins = (request.app.state.settings.base_url, f"{request.url.scheme}://{request.url.netloc}")
    return origin is not None and origin.lower() not in [allowed.lower() for allowed in origins]


async def _find_token(request: Request) -> TokenMatch | None:
    """Find the bearer token, which is from OAuth or created by the user."""
    token = read_bearer_token(request)
    if not token:
        return None
    await load("opportune.contrib.mcp.oauth.strategy")
    from opportune.contrib.mcp.oauth.strategy import McpTokenStrategy  # PyJWT, which few sites need

    settings = request.app.state.settings
    database = request.app.state.database
    for strategy in (McpTokenStrategy(settings, database), token_strategy(settings, database)):
        if match := await strategy.find_match(token):
            record_use(request, match[0])
            return match
    return None


def _challenge(request: Request) -> str:
    metadata = build_url(request.app.state.settings, RESOURCE_METADATA_PATH)
    error = 'error="invalid_token", ' if read_bearer_token(request) else ""
    return f'Bearer {error}resource_metadata="{metadata}"'
