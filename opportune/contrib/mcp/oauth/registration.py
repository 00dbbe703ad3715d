"""Dynamic client registration (RFC 7591) with limits, because it needs no authentication."""

from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import OAuthClientInformationFull
from sqlalchemy import delete, select
from sqlmodel import col

from opportune.accounts.users.context import AccountContext
from opportune.config.signing import seal
from opportune.contrib.mcp.oauth.models import McpClient, is_unused
from opportune.contrib.mcp.oauth.redirects import REDIRECT_RULE, host_of, parse_redirect

SECRET_PURPOSE = "mcp: client secret"
MAX_REDIRECTS = 10
MAX_NAME_LENGTH = 100
MAX_UNUSED_CLIENTS = 1000
"""Programs that are not authorized yet. Registering another one deletes the oldest."""


async def register(context: AccountContext, info: OAuthClientInformationFull) -> None:
    """Store the name, redirects and secret of a program.

    Raises:
        RegistrationError: A redirect address is not allowed.
    """
    redirects = [parse_redirect(str(uri)) for uri in info.redirect_uris or ()]
    if not redirects or not all(redirects) or len(redirects) > MAX_REDIRECTS:
        raise RegistrationError("invalid_redirect_uri", f"{REDIRECT_RULE} At most {MAX_REDIRECTS}.")
    info.grant_types = ["authorization_code", "refresh_token"]  # the response lists the supported ones
    addresses = [str(uri) for uri in redirects]
    secret, settings = info.client_secret, context.settings
    await _delete_unused_clients(context)
    context.session.add(
        McpClient(
            client_id=info.client_id,
            name=_clean_name(info.client_name) or host_of(addresses[0]) or "Unnamed program",
            redirect_uris=addresses,
            auth_method=info.token_endpoint_auth_method or "none",
            sealed_secret=seal(settings, SECRET_PURPOSE, secret) if secret else "",
        )
    )


def _clean_name(text: str | None) -> str:
    """Remove control characters, such as those that change the direction of text."""
    return "".join(character for character in text or "" if character.isprintable()).strip()[:MAX_NAME_LENGTH]


async def _delete_unused_clients(context: AccountContext) -> None:
    unused = select(col(McpClient.id)).where(col(McpClient.used_at).is_(None))
    too_many = unused.order_by(col(McpClient.id).desc()).offset(MAX_UNUSED_CLIENTS - 1)
    await context.session.execute(delete(McpClient).where(is_unused() | col(McpClient.id).in_(too_many)))
