"""What a program asks of somebody, looked at before they are asked, and the code that it gets if they let it in."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import QueryParams

from opportune.accounts.models import Session
from opportune.accounts.sessions.credentials import hash_token
from opportune.config.settings import Settings
from opportune.config.site_url import site_url
from opportune.contrib.mcp.oauth.addresses import is_our_resource
from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.contrib.mcp.oauth.redirects import find_redirect, with_answer
from opportune.contrib.mcp.oauth.scopes import asked_scopes
from opportune.db.models.model import utc_now

CODE_LIFETIME = timedelta(minutes=2)
CLIENT_ID = re.compile(r"[0-9a-f-]{36}")
S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
PARAMETERS = (
    *("client_id", "redirect_uri", "response_type", "scope", "state"),
    *("code_challenge", "code_challenge_method"),
)

UNKNOWN_PROGRAM = "This program is not known here, or nobody has used it for long. Have it connect once more."
UNKNOWN_REDIRECT = "This program wants you sent to where it has not registered. Nothing was allowed."


class UntrustedRequest(Exception):
    """Nobody knows whom to answer: a sentence for the person alone."""


class RefusedRequest(Exception):
    """A request of a known program that is wrong: OAuth's word for it, a sentence, and where the program hears it."""

    def __init__(self, error: str, description: str, address: str) -> None:
        super().__init__(description)
        self.error, self.description, self.address = error, description, address


@dataclass(frozen=True)
class AuthorizationRequest:
    """What a program asks for, once it is known to be whole."""

    client: McpClient
    redirect_uri: str
    has_redirect_uri: bool
    state: str
    code_challenge: str
    scopes: list[str]
    issuer: str

    def address(self, **answer: str) -> str:
        """Where to send the person with this answer. It says who answers (RFC 9207), against mix-ups."""
        state = {"state": self.state} if self.state else {}
        return with_answer(self.redirect_uri, **answer, **state, iss=self.issuer)


async def read_request(session: AsyncSession, site: FastAPI, query: QueryParams) -> AuthorizationRequest:
    """What the address of the page asks for.

    Raises:
        UntrustedRequest: the program, or where it wants people sent, is not known.
        RefusedRequest: anything else is wrong.
    """
    settings: Settings = site.state.settings
    client = await find_client(session, query.get("client_id", ""))
    if client is None:
        raise UntrustedRequest(UNKNOWN_PROGRAM)
    redirect_uri = find_redirect(client.redirect_uris, query.get("redirect_uri"))
    if redirect_uri is None:
        raise UntrustedRequest(UNKNOWN_REDIRECT)
    asked = AuthorizationRequest(
        client,
        redirect_uri,
        "redirect_uri" in query,
        query.get("state", ""),
        query.get("code_challenge", ""),
        asked_scopes(site, query.get("scope")),
        site_url(settings),
    )
    if wrong := _fault(settings, query, asked):
        raise RefusedRequest(*wrong, asked.address(error=wrong[0], error_description=wrong[1]))
    return asked


def _fault(settings: Settings, query: QueryParams, asked: AuthorizationRequest) -> tuple[str, str] | None:
    if repeated := [name for name in PARAMETERS if len(query.getlist(name)) > 1]:
        return "invalid_request", f"{repeated[0]} is there twice."
    if query.get("response_type") != "code":
        return "unsupported_response_type", "response_type has to be code."
    if query.get("code_challenge_method") != "S256" or not S256_CHALLENGE.fullmatch(asked.code_challenge):
        return "invalid_request", "PKCE is needed: a code_challenge, with code_challenge_method=S256."
    if not all(is_our_resource(settings, each) for each in query.getlist("resource")):
        return "invalid_target", "Tokens for this resource are not given here."
    if not asked.scopes:
        return "invalid_scope", "There is nothing here that these scopes are good for."
    return None


async def find_client(session: AsyncSession, client_id: str) -> McpClient | None:
    if not CLIENT_ID.fullmatch(client_id):  # it may be what no database takes
        return None
    found = await session.scalars(select(McpClient).where(col(McpClient.client_id) == client_id))
    return found.first()


async def create_code(session: AsyncSession, asked: AuthorizationRequest, here: Session, scopes: list[str]) -> str:
    """A code that counts once, for two minutes, in exchange for a token with these scopes.

    Raises:
        UntrustedRequest: the program is gone by now.
    """
    client = await session.get(McpClient, asked.client.id)
    if client is None:
        raise UntrustedRequest(UNKNOWN_PROGRAM)
    client.used_at, code = utc_now(), secrets.token_urlsafe(32)
    grant = McpGrant(
        client_id=client.id,
        user_id=here.user_id,
        session_id=here.id,
        code_hash=hash_token(code),
        code_challenge=asked.code_challenge,
        redirect_uri=asked.redirect_uri,
        has_redirect_uri=asked.has_redirect_uri,
        scopes=" ".join(scopes),
        expires_at=utc_now() + CODE_LIFETIME,
    )
    session.add(grant)
    return code
