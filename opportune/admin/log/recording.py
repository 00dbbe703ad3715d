"""Hooks that write changes made by pages, the API, jobs and tools into the audit log.

The admin writes its own entries, which include the name of the action and the related rows of a form.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel
from starlette.requests import HTTPConnection

from opportune.accounts.models import UserBase
from opportune.accounts.permissions import identity_of
from opportune.admin.log.diff import Changes, diff_deleted, diff_values
from opportune.admin.models import PURGE, AuditEntry, recorded_key_of
from opportune.db.clock import utc_now
from opportune.db.hooks.change_origin import ChangeOrigin, current_origin
from opportune.db.hooks.registry import Change, add_after_create, after_delete, after_update, changes
from opportune.db.models.labels import title_of
from opportune.db.models.model import ModelBase
from opportune.db.models.soft_delete import SoftDelete
from opportune.project.layout import is_framework_class
from opportune.web.client import client_address

ADMIN = "admin"


def keeps_history(model: type[Any]) -> bool:
    """Return whether changes outside the admin are recorded: models of projects choose it with `keeps_history = True`.

    Changes of users are recorded as account events.
    """
    is_project_model = issubclass(model, ModelBase) and not is_framework_class(model)
    return is_project_model and getattr(model, "keeps_history", False) and not issubclass(model, UserBase)


@add_after_create(ModelBase, AuditEntry, where=keeps_history)
def record_created(row: SQLModel) -> Mapping[str, Any] | None:
    return _entry_values("create", row, {})


@after_update(ModelBase, where=keeps_history)
async def record_changed(session: AsyncSession, row: SQLModel) -> None:
    changed = changes(row)
    before = {name: _titles_or_value(change.before) for name, change in changed.items()}
    after = {name: _titles_or_value(change.after) for name, change in changed.items()}
    if differences := diff_values(before, after):
        _record(session, _action(changed), row, differences)


def _action(changed: Mapping[str, Change]) -> str:
    """Return `delete` if the changes moved a row to the trash, `restore` if they took it out, else `update`."""
    deletion = changed.get("deleted_at")
    if deletion is None:
        return "update"
    return "delete" if deletion.after else "restore"


@after_delete(ModelBase, where=keeps_history)
async def record_deleted(session: AsyncSession, row: SQLModel) -> None:
    _record(session, PURGE if isinstance(row, SoftDelete) else "delete", row, diff_deleted(row))


RECORDING = (record_created, record_changed, record_deleted)


def _titles_or_value(value: Any) -> Any:
    """Return the titles if the value is a list of linked rows, else the value."""
    is_rows = isinstance(value, list) and any(isinstance(item, SQLModel) for item in value)
    return [title_of(row) for row in value] if is_rows else value


def _record(session: AsyncSession, action: str, row: SQLModel, changed: Changes) -> None:
    if entry := _entry_values(action, row, changed):
        session.add(AuditEntry(**entry))


def _entry_values(action: str, row: SQLModel, changed: Changes) -> Mapping[str, Any] | None:
    """Return the values of an entry, or None for changes by the admin or without a known origin."""
    origin = current_origin.get()
    if origin is None or origin.channel == ADMIN:
        return None
    actor_id, actor = _actor(origin)
    return {
        "at": utc_now(),
        "actor_id": actor_id,
        "actor": actor[:320],
        "action": action,
        "channel": origin.channel[:100],
        "identity": identity_of(type(row)),
        "row_id": recorded_key_of(row),
        "title": title_of(row)[:200],
        "changes": changed,
        "address": client_address(HTTPConnection(dict(origin.scope)))[:64] if origin.scope.get("client") else "",
    }


def _actor(origin: ChangeOrigin) -> tuple[int | None, str]:
    """Return the id and e-mail address of the user, or of the superuser who impersonates the user."""
    state = origin.scope.get("state") or {}
    user = state.get("user")
    impersonator = state.get("impersonator")
    if user is None:
        return None, ""
    if impersonator is None:
        return user.id, user.email
    return impersonator.id, f"{impersonator.email} as {user.email}"
