"""Writes and reads the audit log. Entries of the admin are written in the transaction of the change."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqladmin.helpers import get_object_identifier
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.log.changed_models import add_changed_identity
from opportune.admin.log.diff import Changes
from opportune.admin.models import AuditEntry
from opportune.db.models.columns import title_of
from opportune.web.client import client_address

MAX_SEARCHED_ENTRIES = 30
"""Maximum entries of a row to search for the author of a change."""


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
    """Add an entry to the session. `changes` has a list [old value, new value] for each column."""
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
            address=client_address(request)[:64],
        )
    )
    mark_recorded(request)
    add_changed_identity(request, identity)


def mark_recorded(request: Request) -> None:
    """Prevent further entries for this request."""
    request.state.is_recorded = True


def is_recorded(request: Request) -> bool:
    return getattr(request.state, "is_recorded", False)


def record_row(session: AsyncSession, request: Request, action: str, identity: str, row: Any, changes: Changes) -> None:
    """Add an entry for a row, which must have its primary key."""
    record(session, request, action, identity, row_id=get_object_identifier(row), title=title_of(row), changes=changes)


async def read_last_changes(
    session: AsyncSession, identity: str, row_id: str, names: Iterable[str]
) -> dict[str, AuditEntry]:
    """Return the newest entry that has changed each of these columns. Old changes are not found."""
    entries = select(AuditEntry).where(col(AuditEntry.identity) == identity, col(AuditEntry.row_id) == row_id)
    newest = (await session.scalars(entries.order_by(col(AuditEntry.id).desc()).limit(MAX_SEARCHED_ENTRIES))).all()
    entries_by_name = {name: next((entry for entry in newest if name in entry.changes), None) for name in names}
    return {name: entry for name, entry in entries_by_name.items() if entry}


async def read_last_change_by_others(
    session: AsyncSession, identity: str, row_id: str, since: datetime, user_id: int | None
) -> AuditEntry | None:
    """Return the newest entry of a row after a time that is not of this user."""
    entries = select(AuditEntry).where(
        col(AuditEntry.identity) == identity,
        col(AuditEntry.row_id) == row_id,
        col(AuditEntry.at) > since,
        col(AuditEntry.actor_id).is_distinct_from(user_id),
    )
    entry: AuditEntry | None = await session.scalar(entries.order_by(col(AuditEntry.id).desc()).limit(1))
    return entry


async def read_recent(session: AsyncSession, visible: ColumnElement[bool], limit: int) -> Sequence[AuditEntry]:
    """Return the newest entries that meet a condition, such as `visible_entries`."""
    listed = select(AuditEntry).where(visible)
    return (await session.scalars(listed.order_by(col(AuditEntry.id).desc()).limit(limit))).all()
