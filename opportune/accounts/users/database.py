"""The user database of FastAPI Users, in the session of the caller."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from fastapi_users import InvalidPasswordException, exceptions
from fastapi_users.db import BaseUserDatabase
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import LinkedAccount, User, UserBase
from opportune.accounts.users.errors import AccountLinkedError, EmailTakenError, InvalidLinkError, InvalidPasswordError
from opportune.accounts.users.queries import find_by_email
from opportune.config.email_domains import normalize_email
from opportune.db.constraint_errors import flush_or_refuse

U = TypeVar("U", bound=UserBase)


class UserTaken(EmailTakenError, exceptions.UserAlreadyExists):
    """The e-mail has an account. It is an exception of FastAPI Users and of the framework."""


class PasswordRefused(InvalidPasswordError, InvalidPasswordException):
    """The password is invalid. It is an exception of FastAPI Users and of the framework."""


class LinkRefused(InvalidLinkError, exceptions.InvalidResetPasswordToken, exceptions.InvalidVerifyToken):
    """The link is invalid. It is an exception of FastAPI Users and of the framework."""


class UserDatabase(BaseUserDatabase[U, int]):
    """Users in a database session. Changes are flushed, and committed with the session's other changes."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self._model = cast("type[U]", User)  # the only table of users, with the columns of the project

    async def get(self, id: int) -> U | None:
        return await self.session.get(self._model, id)

    async def get_by_email(self, email: str) -> U | None:
        return cast("U | None", await find_by_email(self.session, email))

    async def create(self, create_dict: Mapping[str, Any]) -> U:
        """Create a user.

        Raises:
            UserTaken: A user has this address, also if two requests register it at the same time.
        """
        user = self._model(**{**create_dict, "email": normalize_email(create_dict["email"])})
        self.session.add(user)
        await flush_or_refuse(self.session, UserTaken())
        return user

    async def update(self, user: U, update_dict: Mapping[str, Any]) -> U:
        """Change a user.

        Raises:
            UserTaken: Another user has this address.
        """
        self.session.add(user)
        values = dict(update_dict)
        if "email" in values:
            values["email"] = normalize_email(values["email"])
        user.sqlmodel_update(values)
        try:
            await flush_or_refuse(self.session, UserTaken())
        except UserTaken:
            await self.session.refresh(user)  # the error page shows the user
            raise
        return user

    async def delete(self, user: U) -> None:
        self.session.add(user)
        await self.session.delete(user)
        await self.session.flush()

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> U | None:
        """Return the user to whom this account of the issuer `oauth` is linked."""
        conditions = (col(LinkedAccount.issuer) == oauth, col(LinkedAccount.subject) == account_id)
        users = select(self._model).join(LinkedAccount, col(LinkedAccount.user_id) == col(User.id)).where(*conditions)
        return cast("U | None", await self.session.scalar(users))

    async def add_oauth_account(self, user: U, create_dict: dict[str, Any]) -> U:
        """Link an account. Tokens of the provider are not stored.

        Raises:
            AccountLinkedError: The account is already linked.
        """
        issuer, subject, email = (create_dict[name] for name in ("oauth_name", "account_id", "account_email"))
        self.session.add(LinkedAccount(user_id=user.id, issuer=issuer, subject=subject, email=email))
        await flush_or_refuse(self.session, AccountLinkedError())
        return user
