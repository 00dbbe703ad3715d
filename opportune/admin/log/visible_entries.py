"""Entries of the audit log that a user may see. They name rows, so they are limited to rows that the user may list."""

from typing import Any

from sqlalchemy import ColumnElement, String, Uuid, cast, func, or_, select, true
from sqlalchemy.orm import aliased
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.authorization import is_superuser
from opportune.admin.lists.row_conditions import listed_keys
from opportune.admin.models import PURGE, AuditEntry
from opportune.admin.protocols import Site, View
from opportune.db.models.soft_delete import SoftDelete


def visible_entries(request: Request, site: Site, *actions: str) -> ColumnElement[bool]:
    """Return the condition for entries of models for which the user has these permissions, limited to listed rows.

    Superusers see all entries, also of removed models.
    """
    if is_superuser(request):
        return true()
    permitted = [
        view
        for view in site.views
        if view.identity
        and view.is_accessible(request)
        and all(view.has_permission(request, action) for action in actions)
    ]
    limited = [view for view in permitted if is_limited(view, request)]
    whole = [view.identity for view in permitted if view not in limited]
    conditions = [(col(AuditEntry.identity) == view.identity) & _is_of_listed_row(view, request) for view in limited]
    return or_(col(AuditEntry.identity).in_(whole), *conditions)


def is_limited(view: Any, request: Request) -> bool:
    """Return whether the view lists only some rows of its table for this user."""
    is_log = getattr(view, "model", None) is AuditEntry  # its own query asks this question
    return bool(view.is_model and not is_log and listed_keys(view, request) is not None)


def is_by_user(request: Request) -> ColumnElement[bool]:
    """Return the condition for changes by the current user. SQLite may give the id of a deleted user to another one."""
    user: User = request.state.user
    return (col(AuditEntry.actor_id) == user.id) & (col(AuditEntry.actor) == user.email)


def is_of_present_row(view: View) -> ColumnElement[bool]:
    """Return the condition for entries of a row that still exists. SQLite may give its id to another row."""
    later = aliased(AuditEntry)
    ends = [PURGE] if issubclass(view.model, SoftDelete) else [PURGE, "delete"]
    is_of_same_id = (col(later.identity) == AuditEntry.identity) & (col(later.row_id) == AuditEntry.row_id)
    is_of_other_row = (col(later.id) > AuditEntry.id) & col(later.action).in_(["create", *ends])
    other_row = select(col(later.id)).where(is_of_same_id, is_of_other_row).exists()
    return col(AuditEntry.action).not_in(ends) & ~other_row


def _is_of_listed_row(view: View, request: Request) -> ColumnElement[bool]:
    """Return the condition for entries of listed rows, and for all changes by the user, who has seen their titles."""
    keys = listed_keys(view, request)
    if keys is None:
        return true()
    texts = [_as_text(column) for column in keys.selected_columns]
    listed = keys.with_only_columns(_joined(texts), maintain_column_froms=True)
    is_uuid = isinstance(keys.selected_columns[0].type, Uuid)
    row_id: Any = func.replace(AuditEntry.row_id, "-", "") if is_uuid else col(AuditEntry.row_id)
    is_listed: ColumnElement[bool] = row_id.in_(listed) & is_of_present_row(view)
    return is_by_user(request) | is_listed


def _as_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    text = cast(column, String)
    return func.replace(text, "-", "") if isinstance(column.type, Uuid) else text  # SQLite stores no hyphens


def _joined(texts: list[ColumnElement[str]]) -> ColumnElement[str]:
    """Return the identifier of a row, as the log stores it."""
    joined = texts[0]
    for text in texts[1:]:
        joined = joined + ";" + text
    return joined
