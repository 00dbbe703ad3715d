"""Storage for the SDK's authorization server. Import this module on first use only, because the SDK is slow."""

from urllib.parse import urlencode

from fastapi.security import HTTPBasic
from mcp.server.auth import provider as oauth
from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import AuthenticationError, ClientAuthenticator
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyUrl
from sqlalchemy import delete, select
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from opportune.accounts import record_event, schemas
from opportune.accounts.models import ApiToken, User
from opportune.accounts.sessions.credentials import hash_token
from opportune.accounts.users.context import AccountContext
from opportune.config.signing import seal, unseal
from opportune.contrib.mcp.oauth.authorization import find_client
from opportune.contrib.mcp.oauth.models import McpClient, McpGrant, is_unused
from opportune.contrib.mcp.oauth.redirects import REDIRECT_RULE, host_of, parse_redirect
from opportune.contrib.mcp.oauth.strategy import McpTokenStrategy
from opportune.db import Database, utc_now
from opportune.web.middleware.compression import SECRET_HEADERS

SECRET_PURPOSE = "mcp: client secret"
MAX_REDIRECTS = 10
MAX_NAME_LENGTH = 100
MAX_UNUSED_CLIENTS = 1000
"""Programs that are not authorized yet. Registering another one deletes the oldest."""


class GrantedCode(oauth.AuthorizationCode):
    """Code with the id of its grant."""

    grant_id: int


class Provider(oauth.OAuthAuthorizationServerProvider[GrantedCode, oauth.RefreshToken, oauth.AccessToken]):
    """Provider of one request. Its transaction is also committed for error responses."""

    def __init__(self, context: AccountContext, database: Database) -> None:
        self.context = context
        self.session = context.session
        self.strategy = McpTokenStrategy(context.settings, database, context.session)

    async def respond_to_registration(self, request: Request) -> Response:
        response = await RegistrationHandler(self, ClientRegistrationOptions(enabled=True)).handle(request)
        response.headers.update(SECRET_HEADERS)
        return response

    async def respond_to_token_request(self, request: Request) -> Response:
        response: Response = await TokenHandler(self, ClientAuthenticator(self)).handle(await _with_client_id(request))
        response.headers.update(SECRET_HEADERS)
        return response

    async def revoke_for_client(self, request: Request) -> str:
        """Delete the grant of an access or refresh token, or return an error. Tokens of other programs are ignored.

        The SDK's handler would require a secret, which not all programs have.
        """
        try:
            client = await ClientAuthenticator(self).authenticate_request(await _with_client_id(request))
        except AuthenticationError as error:
            return error.message
        row = await self.strategy.find_either(str((await request.form()).get("token", "")))
        if row and await self._belongs_to_client(row, client):
            await self.session.delete(row)
        return ""

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        row = await find_client(self.session, client_id)
        if row is None:
            return None
        sealed = row.sealed_secret
        return OAuthClientInformationFull(
            client_id=row.client_id,
            client_name=row.name,
            redirect_uris=[AnyUrl(uri) for uri in row.redirect_uris],
            token_endpoint_auth_method=row.auth_method,
            client_secret=unseal(self.context.settings, SECRET_PURPOSE, sealed) if sealed else None,
        )

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Store the name, redirects and secret of a program.

        Raises:
            RegistrationError: A redirect address is not allowed.
        """
        redirects = [parse_redirect(str(uri)) for uri in client_info.redirect_uris or ()]
        if not redirects or not all(redirects) or len(redirects) > MAX_REDIRECTS:
            raise oauth.RegistrationError("invalid_redirect_uri", f"{REDIRECT_RULE} At most {MAX_REDIRECTS}.")
        client_info.grant_types = ["authorization_code", "refresh_token"]  # the response lists the supported ones
        urls = [str(uri) for uri in redirects]
        secret = client_info.client_secret
        await self._delete_unused_clients()
        row = McpClient(
            client_id=client_info.client_id,
            name=_clean_name(client_info.client_name) or host_of(urls[0]) or "Unnamed program",
            redirect_uris=urls,
            auth_method=client_info.token_endpoint_auth_method or "none",
            sealed_secret=seal(self.context.settings, SECRET_PURPOSE, secret) if secret else "",
        )
        self.session.add(row)

    async def _delete_unused_clients(self) -> None:
        unused = select(col(McpClient.id)).where(col(McpClient.used_at).is_(None))
        too_many = unused.order_by(col(McpClient.id).desc()).offset(MAX_UNUSED_CLIENTS - 1)
        await self.session.execute(delete(McpClient).where(is_unused() | col(McpClient.id).in_(too_many)))

    async def authorize(self, client: OAuthClientInformationFull, params: oauth.AuthorizationParams) -> str:
        raise oauth.AuthorizeError("server_error")  # the site has its own page

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> GrantedCode | None:
        """Return the code of this program. A code that was already used ends its token."""
        query = select(McpGrant).join(McpClient, col(McpClient.id) == col(McpGrant.client_id))
        query = query.where(
            col(McpGrant.code_hash) == hash_token(authorization_code), col(McpClient.client_id) == client.client_id
        )
        grant = await self.session.scalar(query.with_for_update(of=McpGrant))
        if grant is None:
            return None
        if grant.token_id is not None:
            token = await self.session.get(ApiToken, grant.token_id)
            user = await self.session.get(User, grant.user_id)
            if token and user:
                await self.session.delete(token)
                record_event(self.context, user, "program_code_reused", name=client.client_name)
            return None
        return GrantedCode(
            grant_id=grant.id,
            code=authorization_code,
            client_id=client.client_id,
            scopes=grant.scopes.split(),
            expires_at=grant.expires_at.timestamp(),
            code_challenge=grant.code_challenge,
            redirect_uri=AnyUrl(grant.redirect_uri),
            redirect_uri_provided_explicitly=grant.has_redirect_uri,
        )

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: GrantedCode
    ) -> OAuthToken:
        grant = await self.session.get(McpGrant, authorization_code.grant_id)
        user = await self.session.get(User, grant.user_id) if grant else None
        if grant is None or user is None or not user.is_active:
            raise oauth.TokenError("invalid_grant", "authorization code does not exist")
        row, token = await self.strategy.start_sign_in(user, grant.scopes, client.client_name or client.client_id)
        grant.token_id = row.id
        grant.session_id = None
        return _token_response(token)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> oauth.RefreshToken | None:
        """Return the token of this program, even if it was already used."""
        match = await self.strategy.find_by_refresh_token(refresh_token)
        if match is None or not await self._belongs_to_client(match[0], client):
            return None
        return oauth.RefreshToken(token=refresh_token, client_id=client.client_id, scopes=match[0].scopes.split())

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: oauth.RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        token = await self.strategy.refresh(refresh_token.token, " ".join(scopes))
        if token is None:
            raise oauth.TokenError("invalid_grant", "refresh token does not exist")
        if row := await find_client(self.session, client.client_id):
            row.used_at = utc_now()
        return _token_response(token)

    async def _belongs_to_client(self, row: ApiToken, client: OAuthClientInformationFull) -> bool:
        query = select(col(McpGrant.id)).join(McpClient, col(McpClient.id) == col(McpGrant.client_id))
        query = query.where(col(McpGrant.token_id) == row.id, col(McpClient.client_id) == client.client_id)
        return await self.session.scalar(query) is not None


async def _with_client_id(request: Request) -> Request:
    """Add the client's id of Basic authentication to the form, where the SDK looks for it."""
    form = await request.form()
    basic = None if "client_id" in form else await HTTPBasic(auto_error=False)(request)
    if basic is None:
        return request
    body = urlencode([*form.multi_items(), ("client_id", basic.username)]).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request(request.scope, receive)


def _clean_name(text: str | None) -> str:
    """Remove control characters, such as those that change the direction of text."""
    return "".join(character for character in text or "" if character.isprintable()).strip()[:MAX_NAME_LENGTH]


def _token_response(token: schemas.AccessToken) -> OAuthToken:
    return OAuthToken(**token.model_dump(exclude={"token_type"}))
