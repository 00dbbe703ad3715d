"""Connected programs of a user: a panel of the profile page, and account events."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.kinds import EventKind
from opportune.accounts.models import ApiToken, User
from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.contrib.mcp.oauth.redirects import host_of
from opportune.db.models.model import utc_now
from opportune.errors import NotFound
from opportune.feature import Panel


async def list_connected_programs(session: AsyncSession, user: User) -> Mapping[str, Any]:
    """Return the programs with a valid token, newest first."""
    query = select(McpGrant, McpClient, ApiToken).join_from(McpGrant, McpClient).join(ApiToken)
    query = query.where(col(McpGrant.user_id) == user.id, col(ApiToken.expires_at) > utc_now())
    rows = (await session.execute(query.order_by(col(McpGrant.id).desc()))).all()
    return {"programs": [(grant, client.name, host_of(grant.redirect_uri), token) for grant, client, token in rows]}


async def disconnect(session: AsyncSession, user: User, grant_id: int) -> str:
    """Delete a program's token and return the program's name. Raises NotFound."""
    query = select(ApiToken).join(McpGrant).where(col(McpGrant.id) == grant_id, col(McpGrant.user_id) == user.id)
    token = (await session.scalars(query)).first()
    if token is None:
        raise NotFound
    await session.delete(token)
    return token.name


profile_panel = Panel("mcp/profile_panel.html", list_connected_programs)
EVENTS = (
    EventKind(
        "program_connected",
        "{name} may use your account",
        "You have allowed a program to use your account: {scopes}. You can disconnect it on your profile page.",
        icon="ti-plug-connected",
    ),
    EventKind(
        "program_code_reused",
        "{name} was signed out",
        "Its authorization code was used twice. The program may have a bug, or another program may have a copy of the"
        " code. Its access has ended. Connect the program again.",
        icon="ti-plug-connected",
    ),
)
