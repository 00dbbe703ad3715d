"""Hooks of users: they notify the project's `UserManager` of changes by pages, the API, the admin and commands.

A `before_update` hook of a feature may refuse the deactivation of an account, unless it is forced.
"""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.accounts.users.context import user_manager
from opportune.db.hooks.registry import after_create, after_delete, after_update, before_delete, changes
from opportune.db.models.sensitive_names import is_secret

FORCED_KEY = "deactivation_is_forced"


@after_create(User)
async def notify_created(session: AsyncSession, user: User) -> None:
    manager = user_manager(session)
    await manager.on_after_register(user, manager.request)
    if user.is_verified:
        await manager.on_after_verify(user, manager.request)


@after_update(User)
async def notify_updated(session: AsyncSession, user: User) -> None:
    """Pass the changed fields to the manager. Secrets such as the password hash are passed as None."""
    manager = user_manager(session)
    values: dict[str, Any] = {name: None if is_secret(name) else change.after for name, change in changes(user).items()}
    if values.get("is_verified"):
        await manager.on_after_verify(user, manager.request)
    await manager.on_after_update(user, values, manager.request)


@before_delete(User)
async def notify_before_deletion(session: AsyncSession, user: User) -> None:
    manager = user_manager(session)
    await manager.on_before_delete(user, manager.request)


@after_delete(User)
async def notify_deleted(session: AsyncSession, user: User) -> None:
    manager = user_manager(session)
    await manager.on_after_delete(user, manager.request)


HOOKS = (notify_created, notify_updated, notify_before_deletion, notify_deleted)


def force_deactivation(session: AsyncSession) -> None:
    """Let this transaction deactivate accounts, even if a hook would refuse it."""
    session.info[FORCED_KEY] = True


def may_refuse_deactivation(session: AsyncSession, user: User) -> bool:
    """Return whether this change deactivates the account, and a `before_update` hook may raise `FieldErrors`.

    False if the operator forces the deactivation.
    """
    return not user.is_active and "is_active" in changes(user) and FORCED_KEY not in session.info
