"""Tells the project's `UserManager` what happens to users, whichever way: a page, the API, the admin, a command."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.accounts.users.factory import user_manager
from opportune.db.columns import is_secret
from opportune.db.hooks import after_change, after_create, after_delete, before_delete, changes


@after_create(User)
async def after_register(session: AsyncSession, user: User) -> None:
    manager = user_manager(session)
    await manager.on_after_register(user, manager.request)
    if user.is_verified:
        await manager.on_after_verify(user, manager.request)


@after_change(User)
async def after_update(session: AsyncSession, user: User) -> None:
    """Of what is secret, such as the password's hash, only that it has changed."""
    manager, written = user_manager(session), changes(user)
    told: dict[str, Any] = {name: None if is_secret(name) else change.after for name, change in written.items()}
    if told.get("is_verified"):
        await manager.on_after_verify(user, manager.request)
    await manager.on_after_update(user, told, manager.request)


@before_delete(User)
async def before_leaving(session: AsyncSession, user: User) -> None:
    manager = user_manager(session)
    await manager.on_before_delete(user, manager.request)


@after_delete(User)
async def after_leaving(session: AsyncSession, user: User) -> None:
    manager = user_manager(session)
    await manager.on_after_delete(user, manager.request)


HOOKS = (after_register, after_update, before_leaving, after_leaving)
