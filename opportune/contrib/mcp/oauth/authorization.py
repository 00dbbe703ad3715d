"""Validation of authorization requests, and authorization codes."""

import re
import secrets
from datetime import timedelta
from typing import NamedTuple

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import QueryParams

from opportune.accounts.models import Session
from opportune.accounts.sessions.credentials import hash_token
from opportune.config.settings import Settings, site_url
from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.contrib.mcp.oauth.redirects import find_redirect, with_parameters
from opportune.contrib.mcp.oauth.scopes import requested_scopes
from opportune.contrib.mcp.oauth.urls import is_mcp_resource
from opportune.db.clock import utc_now
from opportune.i18n import gettext_lazy as _l

CODE_LIFETIME = timedelta(minutes=2)
CLIENT_ID = re.compile(r"[0-9a-f-]{36}")
S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
PARAMETERS = ["client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method"]
"""Parameters that a request may contain only once."""

UNKNOWN_PROGRAM = _l("This program is not registered here, or was not used for a long time. Connect it again.")
UNKNOWN_REDIRECT = _l("This program uses a redirect address that it has not registered. It was not authorized.")


class UntrustedRequest(Exception):
    """Request of an unknown program, or with an unknown redirect. The message is for the user only."""


class RefusedRequest(Exception):
    """Invalid request of a registered program, with the redirect that reports the error to the program."""

    def __init__(self, description: str, url: str) -> None:
        super().__init__(description)
        self.url = url


class AuthorizationRequest(NamedTuple):
    """Valid request of a program."""

    client: McpClient
    redirect_uri: str
    has_redirect_uri: bool
    state: str
    code_challenge: str
    scopes: list[str]
    issuer: str

    def url(self, **parameters: str) -> str:
        """Return the redirect with these parameters and the issuer (RFC 9207, against mix-up attacks)."""
        state = {"state": self.state} if self.state else {}
        return with_parameters(self.redirect_uri, **parameters, **state, iss=self.issuer)


async def read_request(session: AsyncSession, site: FastAPI, query: QueryParams) -> AuthorizationRequest:
    """Validate the query of the authorization page.

    Raises:
        UntrustedRequest: The program or its redirect is unknown.
        RefusedRequest: The request is invalid in another way.
    """
    settings: Settings = site.state.settings
    client = await find_client(session, query.get("client_id", ""))
    if client is None:
        raise UntrustedRequest(UNKNOWN_PROGRAM)
    redirect_uri = find_redirect(client.redirect_uris, query.get("redirect_uri"))
    if redirect_uri is None:
        raise UntrustedRequest(UNKNOWN_REDIRECT)
    authorization = AuthorizationRequest(
        client,
        redirect_uri,
        "redirect_uri" in query,
        query.get("state", ""),
        query.get("code_challenge", ""),
        requested_scopes(site, query.get("scope")),
        site_url(settings),
    )
    if problem := _find_problem(settings, query, authorization):
        url = authorization.url(error=problem.error, error_description=problem.description)
        raise RefusedRequest(problem.description, url)
    return authorization


class _Problem(NamedTuple):
    error: str
    """Code of OAuth."""
    description: str


def _find_problem(settings: Settings, query: QueryParams, authorization: AuthorizationRequest) -> _Problem | None:
    if repeated := [name for name in PARAMETERS if len(query.getlist(name)) > 1]:
        return _Problem("invalid_request", f"{repeated[0]} is repeated.")
    if query.get("response_type") != "code":
        return _Problem("unsupported_response_type", "response_type must be code.")
    if query.get("code_challenge_method") != "S256" or not S256_CHALLENGE.fullmatch(authorization.code_challenge):
        return _Problem("invalid_request", "PKCE is required: a code_challenge with code_challenge_method=S256.")
    if not all(is_mcp_resource(settings, resource) for resource in query.getlist("resource")):
        return _Problem("invalid_target", "This server has no tokens for this resource.")
    if not authorization.scopes:
        return _Problem("invalid_scope", "No tool of this site uses these scopes.")
    return None


async def find_client(session: AsyncSession, client_id: str) -> McpClient | None:
    if not CLIENT_ID.fullmatch(client_id):  # databases refuse some characters
        return None
    return await session.scalar(select(McpClient).where(col(McpClient.client_id) == client_id))


async def create_code(
    session: AsyncSession, authorization: AuthorizationRequest, user_session: Session, scopes: list[str]
) -> str:
    """Create an authorization code that can be exchanged once, within two minutes.

    Raises:
        UntrustedRequest: The program was deleted.
    """
    client = await session.get(McpClient, authorization.client.id)
    if client is None:
        raise UntrustedRequest(UNKNOWN_PROGRAM)
    client.used_at = utc_now()
    code = secrets.token_urlsafe(32)
    grant = McpGrant(
        client_id=client.id,
        user_id=user_session.user_id,
        session_id=user_session.id,
        code_hash=hash_token(code),
        code_challenge=authorization.code_challenge,
        redirect_uri=authorization.redirect_uri,
        has_redirect_uri=authorization.has_redirect_uri,
        scopes=" ".join(scopes),
        expires_at=utc_now() + CODE_LIFETIME,
    )
    session.add(grant)
    return code
