"""Who has an account, and the project's manager of them, which is imported with its first use."""

from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.project import users_module
from opportune.config.settings import Settings

if TYPE_CHECKING:
    from opportune.accounts.manager import UserManager

EMAIL_TAKEN = "There is an account with this e-mail already."
WRONG_CURRENT_PASSWORD = "This is not your current password."
NO_PASSWORD = "You have no password yet. Choose one on the page Password first."
CHANGED_MEANWHILE = "The account was changed at the same moment. Please try again."
REQUEST_KEY = "request"
"""Where a session keeps the request that it is for, which the manager's hooks are told."""


class InvalidPasswordError(Exception):
    """A password that is not taken; the message tells its owner why."""


class RegistrationClosedError(Exception):
    """This address may not register; the message tells the visitor what to do."""


class EmailTakenError(Exception):
    """There is an account with this e-mail, whatever its case."""


class AccountLinkedError(Exception):
    """The account of another site signs somebody in already."""


class InvalidLinkError(Exception):
    """A link that is not ours, too old, or has been used."""


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """The user with this e-mail, whatever its case."""
    user: User | None = await session.scalar(select(User).where(func.lower(col(User.email)) == email.strip().lower()))
    return user


def wrong_password(user: User) -> str:
    """What to tell somebody whose current password is asked and was not given."""
    return WRONG_CURRENT_PASSWORD if user.has_password else NO_PASSWORD


def user_manager(session: AsyncSession, settings: Settings | None = None) -> "UserManager[User]":
    """The `UserManager` of `app/users/manager.py`, in a session that writes."""
    from opportune.accounts.manager import UserDatabase  # noqa: PLC0415 - FastAPI Users, which no start waits for

    made: UserManager[User] = users_module("manager").UserManager(UserDatabase(session), settings=settings)
    return made
