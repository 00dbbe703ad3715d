"""Creation of the project's user manager."""

from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.config.project import users_module
from opportune.config.settings import Settings

if TYPE_CHECKING:
    from opportune.accounts.users.manager import UserManager


def user_manager(session: AsyncSession, settings: Settings | None = None) -> "UserManager[User]":
    """Create the `UserManager` of `app/users/manager.py` for a writing session."""
    manager: UserManager[User] = users_module("manager").UserManager.in_session(session, settings)
    return manager
