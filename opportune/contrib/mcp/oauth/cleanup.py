"""Expired codes and unused programs."""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlmodel import col

from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.db.models.model import utc_now
from opportune.feature import Cleanup

NEVER_USED_LIFETIME = timedelta(days=1)
"""Lifetime of a program that no user has authorized."""
UNUSED_LIFETIME = timedelta(days=180)
"""Lifetime of an authorized program after its last use."""


def is_unused() -> ColumnElement[bool]:
    """Return a condition for programs without grants that were not used for a long time."""
    now, granted = utc_now(), select(col(McpGrant.id)).where(col(McpGrant.client_id) == col(McpClient.id))
    never_used = and_(col(McpClient.used_at).is_(None), col(McpClient.created_at) < now - NEVER_USED_LIFETIME)
    unused = col(McpClient.used_at) < now - UNUSED_LIFETIME
    return and_(or_(never_used, unused), ~granted.correlate(McpClient).exists())


def is_expired() -> ColumnElement[bool]:
    """Return a condition for codes that no program has exchanged in time."""
    return and_(col(McpGrant.token_id).is_(None), col(McpGrant.expires_at) <= utc_now())


CLEANUPS = (Cleanup(McpGrant, lambda _: is_expired()), Cleanup(McpClient, lambda _: is_unused()))
