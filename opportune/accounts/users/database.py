"""The user database of FastAPI Users, in the session of the caller."""

from collections.abc import Mapping
from typing import Any

from fastapi_users import InvalidPasswordException, exceptions
from fastapi_users.db import BaseUserDatabase
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import ApiToken, LinkedAccount, Passkey, RecoveryCode, Session, User
from opportune.accounts.users.errors import (
    AccountLinkedError,
    EmailTakenError,
    InvalidLinkError,
    InvalidPasswordError,
)
from opportune.config.email_domains import normalize_email

REQUEST_KEY = "request"
"""Key of `session.info` for the request of a session. The manager passes that request to its hooks."""


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """Return the user with this e-mail, in upper or lower case, and in any Unicode form."""
    user: User | None = await session.scalar(select(User).where(func.lower(col(User.email)) == normalize_email(email)))
    return user


async def find_active_by_email(session: AsyncSession, email: str) -> User | None:
    user = await find_by_email(session, email)
    return user if user and user.is_active else None


class UserTaken(EmailTakenError, exceptions.UserAlreadyExists):
    """The e-mail has an account. It is an exception of FastAPI Users and of the framework."""


class PasswordRefused(InvalidPasswordError, InvalidPasswordException):
    """The password is invalid. It is an exception of FastAPI Users and of the framework."""


class LinkRefused(InvalidLinkError, exceptions.InvalidResetPasswordToken, exceptions.InvalidVerifyToken):
    """The link is invalid. It is an exception of FastAPI Users and of the framework."""


class UserDatabase(BaseUserDatabase[Any, int]):
    """Users in a database session. Changes are flushed, and committed with the session's other changes."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, id: int) -> User | None:
        return await self.session.get(User, id)

    async def get_by_email(self, email: str) -> User | None:
        return await find_by_email(self.session, email)

    async def create(self, create_dict: Mapping[str, Any]) -> User:
        """Create a user. Raises UserTaken, also if two requests register the same address at the same time."""
        self.session.add(user := User(**{**create_dict, "email": normalize_email(create_dict["email"])}))
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            raise UserTaken from None
        return user

    async def update(self, user: User, update_dict: Mapping[str, Any]) -> User:
        """Change a user. Raises UserTaken."""
        self.session.add(user)
        user.sqlmodel_update(dict(update_dict))
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            await self.session.refresh(user)  # the error page shows the user
            raise UserTaken from None
        return user

    async def delete(self, user: User) -> None:
        self.session.add(user)
        await self.session.delete(user)
        await self.session.flush()

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> User | None:
        """Return the user to whom this account of the issuer `oauth` is linked."""
        conditions = (col(LinkedAccount.issuer) == oauth, col(LinkedAccount.subject) == account_id)
        user: User | None = await self.session.scalar(
            select(User).join(LinkedAccount, col(LinkedAccount.user_id) == col(User.id)).where(*conditions)
        )
        return user

    async def add_oauth_account(self, user: Any, create_dict: dict[str, Any]) -> Any:
        """Link an account. Tokens of the provider are not stored. Raises AccountLinkedError."""
        issuer, subject, email = (create_dict[name] for name in ("oauth_name", "account_id", "account_email"))
        self.session.add(LinkedAccount(user_id=user.id, issuer=issuer, subject=subject, email=email))
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            raise AccountLinkedError from None
        return user


async def delete_all_sessions(session: AsyncSession, user: User) -> None:
    """End all sessions and tokens of a user."""
    for model in (Session, ApiToken):
        await session.execute(delete(model).where(col(model.user_id) == user.id))


async def delete_sign_in_methods(session: AsyncSession, user: User) -> None:
    """Delete linked accounts and second factors, because another person may have registered the address."""
    user.totp_secret, user.totp_step = "", 0
    session.add(user)
    await session.flush()
    for model in (LinkedAccount, Passkey, RecoveryCode):
        await session.execute(delete(model).where(col(model.user_id) == user.id))
