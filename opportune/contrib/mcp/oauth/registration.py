"""Programs that register themselves (RFC 7591), within bounds: anybody may, and each is a row."""

from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import OAuthClientInformationFull
from sqlalchemy import delete, select
from sqlmodel import col

from opportune.accounts.users.context import AccountContext
from opportune.config.signing import seal
from opportune.contrib.mcp.oauth.cleanup import is_forgotten
from opportune.contrib.mcp.oauth.models import McpClient
from opportune.contrib.mcp.oauth.redirects import REDIRECT_RULE, host_of, parse_redirect

SECRET_PURPOSE = "mcp: client secret"
MAX_REDIRECTS = 10
MAX_NAME_LENGTH = 100
MAX_UNUSED_CLIENTS = 1000
"""Programs that nobody has let in yet. With one more the oldest of them goes: to wait for a person takes minutes."""


async def register(context: AccountContext, said: OAuthClientInformationFull) -> None:
    """Store a program. What it says of itself beside its name and its addresses is kept by nobody.

    Raises:
        RegistrationError: people cannot be sent where it wants them sent.
    """
    redirects = [parse_redirect(str(each)) for each in said.redirect_uris or ()]
    if not redirects or not all(redirects) or len(redirects) > MAX_REDIRECTS:
        raise RegistrationError("invalid_redirect_uri", f"{REDIRECT_RULE} At most {MAX_REDIRECTS}.")
    said.grant_types = ["authorization_code", "refresh_token"]  # whatever it asked for, it is told what it has
    addresses = [str(each) for each in redirects]
    secret, settings = said.client_secret, context.settings
    await _make_room(context)
    context.session.add(
        McpClient(
            client_id=said.client_id,
            name=_name(said.client_name) or host_of(addresses[0]) or "A program without a name",
            redirect_uris=addresses,
            auth_method=said.token_endpoint_auth_method or "none",
            sealed_secret=seal(settings, SECRET_PURPOSE, secret) if secret else "",
        )
    )


def _name(said: str | None) -> str:
    """What it calls itself, without what changes how a line is read."""
    return "".join(each for each in said or "" if each.isprintable()).strip()[:MAX_NAME_LENGTH]


async def _make_room(context: AccountContext) -> None:
    unused = select(col(McpClient.id)).where(col(McpClient.used_at).is_(None))
    too_many = unused.order_by(col(McpClient.id).desc()).offset(MAX_UNUSED_CLIENTS - 1)
    await context.session.execute(delete(McpClient).where(is_forgotten() | col(McpClient.id).in_(too_many)))
