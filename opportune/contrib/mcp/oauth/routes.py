"""OAuth endpoints for programs: metadata, registration, tokens and revocation."""

from typing import TYPE_CHECKING

from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse

from opportune.accounts.dependencies import AccountCtx
from opportune.accounts.users.context import AccountContext
from opportune.config.settings import Settings
from opportune.contrib.mcp.lazy_import import load
from opportune.contrib.mcp.oauth import urls
from opportune.contrib.mcp.oauth.scopes import tool_scopes
from opportune.web import HOUR_SECONDS, APIRouter, RateLimit

if TYPE_CHECKING:
    from opportune.contrib.mcp.oauth.provider import Provider

REGISTRATIONS = RateLimit("mcp.registrations", 60, HOUR_SECONDS)
"""Limit per client address, which may be a service with many users."""
TOKEN_REQUESTS = RateLimit("mcp.token_requests", 600, storage="cache")
MAX_REGISTRATION_BYTES = 20_000
AUTH_METHODS = ["none", "client_secret_post", "client_secret_basic"]

router = APIRouter(include_in_schema=False)


@router.get(urls.RESOURCE_METADATA_PATH)
async def resource_metadata(request: Request) -> Response:
    """Protected resource metadata of `/mcp` (RFC 9728)."""
    settings: Settings = request.app.state.settings
    return JSONResponse(
        {
            "resource": urls.build_url(settings, urls.MCP_PATH),
            "resource_name": settings.site_name,
            "authorization_servers": [urls.build_url(settings, "")],
            "scopes_supported": [*tool_scopes(request.app)],
            "bearer_methods_supported": ["header"],
            "resource_documentation": urls.build_url(settings, "/accounts/tokens"),
        }
    )


@router.get(urls.SERVER_METADATA_PATH)
async def server_metadata(request: Request) -> Response:
    """Authorization server metadata (RFC 8414)."""
    settings: Settings = request.app.state.settings
    paths = {"authorization": "authorize", "token": "token", "registration": "register", "revocation": "revoke"}
    urls_by_name = {name: urls.build_url(settings, f"{urls.OAUTH_PATH}/{path}") for name, path in paths.items()}
    return JSONResponse(
        {
            "issuer": urls.build_url(settings, ""),
            **{f"{name}_endpoint": url for name, url in urls_by_name.items()},
            "scopes_supported": [*tool_scopes(request.app)],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": AUTH_METHODS,
            "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
    )


@router.post(f"{urls.OAUTH_PATH}/register", dependencies=[Depends(REGISTRATIONS)])
async def register(request: Request, context: AccountCtx) -> Response:
    if len(await request.body()) > MAX_REGISTRATION_BYTES:
        return _error_response("invalid_client_metadata", f"At most {MAX_REGISTRATION_BYTES} bytes.")
    provider = await _create_provider(request, context)
    return await provider.respond_to_registration(request)


@router.post(f"{urls.OAUTH_PATH}/token", dependencies=[Depends(TOKEN_REQUESTS)])
async def token(request: Request, context: AccountCtx) -> Response:
    """Exchange a code or a refresh token. Errors are also committed, because a reused token ends its grant."""
    resources = (await request.form()).getlist("resource")
    if not all(urls.is_mcp_resource(context.settings, str(resource)) for resource in resources):
        return _error_response("invalid_target", "This server has no tokens for this resource.")
    provider = await _create_provider(request, context)
    return await provider.respond_to_token_request(request)


@router.post(f"{urls.OAUTH_PATH}/revoke", dependencies=[Depends(TOKEN_REQUESTS)])
async def revoke(request: Request, context: AccountCtx) -> Response:
    """Revoke a token (RFC 7009). Returns 200 also for unknown tokens."""
    provider = await _create_provider(request, context)
    if error := await provider.revoke_for_client(request):
        return _error_response("invalid_client", error, 401)
    return Response(headers={"Cache-Control": "no-store"})


async def _create_provider(request: Request, context: AccountContext) -> "Provider":
    await load("opportune.contrib.mcp.oauth.provider")
    from opportune.contrib.mcp.oauth.provider import Provider  # the MCP library is slow

    # Access tokens are read by `/mcp` and revoked by `revoke_for_client`.
    return Provider(context, request.app.state.database)  # type: ignore[abstract]


def _error_response(error: str, description: str, status: int = 400) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status, {"Cache-Control": "no-store"})
