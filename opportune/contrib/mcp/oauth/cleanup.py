"""Throws out what is over: codes that nobody used, and programs that nobody has let in."""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlmodel import col

from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.db.queries.batches import delete_in_batches
from opportune.jobs import JobContext, job

KEPT_UNUSED = timedelta(days=1)
"""A program that nobody has ever let in."""
KEPT_ABANDONED = timedelta(days=180)
"""A program that somebody once let in, since it was last used."""


def is_forgotten() -> ColumnElement[bool]:
    """Whether a program is nobody's any more."""
    now, granted = utc_now(), select(col(McpGrant.id)).where(col(McpGrant.client_id) == col(McpClient.id))
    unused = and_(col(McpClient.used_at).is_(None), col(McpClient.created_at) < now - KEPT_UNUSED)
    return and_(or_(unused, col(McpClient.used_at) < now - KEPT_ABANDONED), ~granted.correlate(McpClient).exists())


async def delete_expired(database: Database) -> None:
    over = and_(col(McpGrant.token_id).is_(None), col(McpGrant.expires_at) <= utc_now())
    await delete_in_batches(database, McpGrant, over)
    await delete_in_batches(database, McpClient, is_forgotten())


@job("mcp.delete_expired", schedule="37 3 * * *")
async def delete_expired_daily(run: JobContext) -> None:
    await delete_expired(run.database)
