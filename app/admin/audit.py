"""Writes down what was done in the admin, in the transaction that does it: neither is there without the other."""

from collections.abc import Sequence
from typing import Any

from sqladmin.authorization import WILDCARD, Action
from sqladmin.helpers import get_object_identifier
from sqlalchemy import ColumnElement, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from app.accounts.models import User
from app.accounts.permissions import Grants
from app.admin.changes import Changes
from app.admin.columns import title_of
from app.admin.models import AuditEntry
from app.core.web.throttle import address_of


def record(
    session: AsyncSession,
    request: Request,
    action: str,
    identity: str,
    *,
    row_id: object = "",
    title: str = "",
    changes: Changes | None = None,
) -> None:
    """Add an entry to this writing session. `changes` tells by column what was before and after: [before, after]."""
    user: User = request.state.user
    session.add(
        AuditEntry(
            actor_id=user.id,
            actor=user.email,
            action=action[:100],
            identity=identity,
            row_id=str(row_id)[:64],
            title=title[:200],
            changes=changes or {},
            address=address_of(request)[:64],
        )
    )
    settle(request)


def settle(request: Request) -> None:
    """Say that the log has all that it needs of this request."""
    request.state.is_recorded = True


def is_recorded(request: Request) -> bool:
    return getattr(request.state, "is_recorded", False)


def record_row(session: AsyncSession, request: Request, action: str, identity: str, row: Any, changes: Changes) -> None:
    """Of a row that has its number."""
    record(session, request, action, identity, row_id=get_object_identifier(row), title=title_of(row), changes=changes)


def is_seen_with(grants: Grants, action: str) -> ColumnElement[bool]:
    """Whether an entry is of a model for which the grants allow an action."""
    if grants & {(WILDCARD, WILDCARD), (WILDCARD, action)}:
        return true()
    return col(AuditEntry.identity).in_({name for name, may in grants if may in (action, WILDCARD)})


async def recent(session: AsyncSession, grants: Grants, limit: int) -> Sequence[AuditEntry]:
    """What was done last, of what the viewer may list. (`grants_of(request)` has the grants.)"""
    listed = select(AuditEntry).where(is_seen_with(grants, Action.LIST))
    return (await session.scalars(listed.order_by(col(AuditEntry.id).desc()).limit(limit))).all()
