"""Writes and reads the audit log. Entries of the admin are written in the transaction of the change.

Entries name rows, so users see only those of rows that they may list.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, Select, String, Uuid, cast, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.accounts.permissions import identity_of
from opportune.admin.authorization import is_superuser
from opportune.admin.base import BaseAdminSite, BaseAdminView
from opportune.admin.current_request import changed_identities, values_of_request
from opportune.admin.lists.row_keys import key_of, listed_keys, unquote_key
from opportune.admin.log.diff import Changes
from opportune.admin.models import PURGE, AuditEntry, recorded_key
from opportune.db.models.labels import title_of
from opportune.db.models.soft_delete import SoftDelete
from opportune.web.client import client_address

MAX_SEARCHED_ENTRIES = 30
"""Maximum entries of a row to search for the author of a change."""


def record(
    session: AsyncSession,
    request: Request,
    action: str,
    identity: str,
    *,
    row_id: str = "",
    title: str = "",
    changes: Changes | None = None,
) -> None:
    """Add an entry to the session. `changes` has a list [old value, new value] for each column."""
    user: User = request.state.user
    entry = AuditEntry(
        actor_id=user.id,
        actor=user.email,
        action=action[:100],
        identity=identity,
        row_id=recorded_key(unquote_key(row_id)),
        title=title[:200],
        changes=changes or {},
        address=client_address(request)[:64],
    )
    session.add(entry)
    recorded_entries(request).append(entry)
    request.state.changed_identities = {*changed_identities(request), identity}


def mark_recorded(request: Request) -> None:
    """Prevent further entries for this request."""
    request.state.is_recorded = True


def recorded_entries(request: Request) -> list[AuditEntry]:
    entries: list[AuditEntry] = values_of_request(request, "audit_log").setdefault("entries", [])
    return entries


def is_recorded(request: Request) -> bool:
    return bool(recorded_entries(request)) or getattr(request.state, "is_recorded", False)


def record_row(session: AsyncSession, request: Request, action: str, identity: str, row: Any, changes: Changes) -> None:
    """Add an entry for a row, which must have its primary key."""
    record(session, request, action, identity, row_id=key_of(row), title=title_of(row), changes=changes)


def entries_of(view: BaseAdminView, row_id: str) -> Select[Any]:
    """Select the entries of a row by all views of its model, and by pages, the API, jobs and tools."""
    return select(AuditEntry).where(
        col(AuditEntry.identity).in_(_identities_of(view)), col(AuditEntry.row_id) == recorded_key(unquote_key(row_id))
    )


def _identities_of(view: BaseAdminView) -> list[str]:
    others = [other.identity for other in view.site.row_views if other.model is view.model]
    return [identity_of(view.model), *others]


async def read_last_changes(
    session: AsyncSession, view: BaseAdminView, row_id: str, names: Iterable[str]
) -> dict[str, AuditEntry | None]:
    """Return the newest entry that has changed each of these columns. Old changes are not found."""
    newest = entries_of(view, row_id).order_by(col(AuditEntry.id).desc()).limit(MAX_SEARCHED_ENTRIES)
    entries = (await session.scalars(newest)).all()
    return {name: next((entry for entry in entries if name in entry.changes), None) for name in names}


async def read_last_change_by_others(
    session: AsyncSession, view: BaseAdminView, row_id: str, since: datetime, user_id: int | None
) -> AuditEntry | None:
    """Return the newest entry of a row after a time that is not of this user."""
    is_by_other_user = col(AuditEntry.actor_id).is_distinct_from(user_id)
    entries = entries_of(view, row_id).where(col(AuditEntry.at) > since, is_by_other_user)
    entry: AuditEntry | None = await session.scalar(entries.order_by(col(AuditEntry.id).desc()).limit(1))
    return entry


async def load_emails(view: BaseAdminView, user_ids: Iterable[int | None]) -> Mapping[int | None, str]:
    """Return the addresses by id of the user, in one query. Deleted users are left out."""
    ids = {*user_ids} - {None}
    users = select(col(User.id), col(User.email)).where(col(User.id).in_(ids))
    return dict(await view.queries.tuples(users)) if ids else {}


async def load_names(view: BaseAdminView, emails: Sequence[str]) -> Mapping[str, str]:
    """Return the names that other users see, by e-mail address. Users without a name keep their address."""
    named = await view.queries.objects(select(User).where(col(User.email).in_(emails))) if emails else ()
    return {email: email for email in emails} | {user.email: user.get_short_name() or user.email for user in named}


def visible_entries(request: Request, site: BaseAdminSite, *actions: str) -> ColumnElement[bool]:
    """Return the condition for entries of models for which the user has these permissions, limited to listed rows.

    Superusers see all entries, also of removed models.
    """
    if is_superuser(request):
        return true()
    whole = []
    conditions = []
    for view in site.views:
        if not (view.identity and view.is_accessible(request)):
            continue
        if not all(view.has_permission(request, action) for action in actions):
            continue
        if isinstance(view, BaseAdminView) and is_limited(view, request):
            conditions.append((col(AuditEntry.identity) == view.identity) & _is_of_listed_row(view, request))
        else:
            whole.append(view.identity)
    return or_(col(AuditEntry.identity).in_(whole), *conditions)


def is_limited(view: Any, request: Request) -> bool:
    """Return whether the view lists only some rows of its table for this user."""
    is_log = getattr(view, "model", None) is AuditEntry  # its own query asks this question
    return bool(view.is_model and not is_log and listed_keys(view, request) is not None)


def is_by_user(request: Request) -> ColumnElement[bool]:
    """Return the condition for changes by the current user. SQLite may give the id of a deleted user to another one."""
    user: User = request.state.user
    return (col(AuditEntry.actor_id) == user.id) & (col(AuditEntry.actor) == user.email)


def is_of_present_row(view: BaseAdminView) -> ColumnElement[bool]:
    """Return the condition for entries of a row that still exists. SQLite may give its id to another row."""
    later = aliased(AuditEntry)
    ends = [PURGE] if issubclass(view.model, SoftDelete) else [PURGE, "delete"]
    is_of_same_id = col(later.identity).in_(_identities_of(view)) & (col(later.row_id) == AuditEntry.row_id)
    is_of_other_row = (col(later.id) > AuditEntry.id) & col(later.action).in_(["create", *ends])
    other_row = select(col(later.id)).where(is_of_same_id, is_of_other_row).exists()
    return col(AuditEntry.action).not_in(ends) & ~other_row


def _is_of_listed_row(view: BaseAdminView, request: Request) -> ColumnElement[bool]:
    """Return the condition for entries of listed rows, and for all changes by the user, who has seen their titles."""
    keys = listed_keys(view, request)
    if keys is None:
        return true()
    texts = [_as_text(column) for column in keys.selected_columns]
    identifier = reduce(lambda joined, text: joined + ";" + text, texts)  # as the log stores it
    listed = keys.with_only_columns(identifier, maintain_column_froms=True)
    is_uuid = isinstance(keys.selected_columns[0].type, Uuid)
    row_id: Any = func.replace(AuditEntry.row_id, "-", "") if is_uuid else col(AuditEntry.row_id)
    is_listed: ColumnElement[bool] = row_id.in_(listed) & is_of_present_row(view)
    return is_by_user(request) | is_listed


def _as_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    text = cast(column, String)
    return func.replace(text, "-", "") if isinstance(column.type, Uuid) else text  # SQLite stores no hyphens
