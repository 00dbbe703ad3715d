"""fastapi-users behind one class: beside it only `passwords` imports the library, which commits for itself.

Its own methods hash on the event loop, and while they hold a connection. Ours replace the three that do.
"""

from typing import Any

from fastapi import Request
from fastapi.security import OAuth2PasswordRequestForm
from fastapi_users import BaseUserManager, IntegerIDMixin
from fastapi_users.exceptions import InvalidPasswordException, UserAlreadyExists
from fastapi_users.schemas import BaseUserCreate, BaseUserUpdate
from fastapi_users_db_sqlalchemy import SQLAlchemyUserDatabase
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.accounts import passwords
from app.accounts.models import User

__all__ = ["NOT_CURRENT", "TAKEN", "InvalidPasswordException", "UserAlreadyExists", "UserManager"]

FLAGS = {"is_active", "is_superuser", "is_verified"}
"""What people may not give themselves."""

TAKEN = "There is an account with this e-mail already."
NOT_CURRENT = "This is not your current password."
OVERTAKEN = "The password was changed at the same moment. Please try again."


class UserManager(IntegerIDMixin, BaseUserManager[User, int]):
    """Makes, finds and changes users in a session that writes."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(SQLAlchemyUserDatabase(session, User))
        self.session = session

    async def register(self, email: str, password: str, *, is_superuser: bool = False) -> User:
        """Make a user.

        Raises:
            InvalidPasswordException: with a sentence in `reason`.
            UserAlreadyExists: the e-mail has an account, whatever its case.
        """
        return await self.create(BaseUserCreate(email=email, password=password, is_superuser=is_superuser))

    async def change(
        self, user: User, *, email: str | None = None, password: str | None = None, is_verified: bool | None = None
    ) -> User:
        """Change e-mail or password, or both. Whoever calls this tells the owner.

        A new password ends every session and token of the user. A new e-mail counts as not verified, unless it is.

        Raises:
            InvalidPasswordException: with a sentence in `reason`.
            UserAlreadyExists: the e-mail has another account, whatever its case.
        """
        given = {"email": email, "password": password, "is_verified": is_verified}
        wanted = {name: value for name, value in given.items() if value is not None}
        return await self.update(BaseUserUpdate(**wanted), user)

    async def is_taken(self, email: str) -> bool:
        return await self.user_db.get_by_email(email) is not None

    async def is_password_of(self, user: User, password: str) -> bool:
        right, _better = await passwords.verify(password, user.hashed_password)
        return right

    async def validate_password(self, password: str, user: BaseUserCreate | User) -> None:
        if reason := passwords.fault(password, user.email):
            raise InvalidPasswordException(reason)

    async def authenticate(self, credentials: OAuth2PasswordRequestForm) -> User | None:
        """The active user with this name and password. Nobody can tell from the time which of them was wrong.

        The user stays locked until the transaction ends: start the session in it, and no new password comes between.
        """
        user = await self.user_db.get_by_email(credentials.username.strip().lower())
        await self.session.commit()  # gives the connection back while we hash
        if user is None:
            await passwords.verify_nobody(credentials.password)
            return None
        right, better = await passwords.verify(credentials.password, user.hashed_password)
        if not right or not await self._lock(user):
            return None
        if better:  # by a statement, which ends no session: the password is the same
            await self.session.execute(update(User).where(col(User.id) == user.id).values(hashed_password=better))
        return user

    async def is_unchanged(self, user: User) -> bool:
        """Whether a user who was read before is still active, with the same password; it stays so until the end."""
        return bool(await self._lock(user))

    async def _lock(self, user: User) -> bool | None:
        """Whether the user is active, or None if the password is no longer the one that we know.

        Hashing takes its time, in which the owner may have shut out whoever knows the old password.
        """
        same = (col(User.id) == user.id, col(User.hashed_password) == user.hashed_password)
        active: bool | None = await self.session.scalar(select(col(User.is_active)).where(*same).with_for_update())
        return active

    async def create(self, user_create: BaseUserCreate, safe: bool = False, request: Request | None = None) -> User:
        fields = user_create.model_dump(exclude_unset=True, exclude=FLAGS if safe else None)
        await self.validate_password(user_create.password, user_create)
        fields["hashed_password"] = await passwords.hashed(fields.pop("password"))
        fields["email"] = fields["email"].lower()
        try:
            user = await self.user_db.create(fields)
        except IntegrityError:
            await self.session.rollback()
            raise UserAlreadyExists from None
        await self.on_after_register(user, request)
        return user

    async def _update(self, user: User, update_dict: dict[str, Any]) -> User:
        fields = dict(update_dict)
        if "email" in fields:
            fields["email"] = fields["email"].lower()
        if (password := fields.pop("password", None)) is not None:
            await self.validate_password(password, user)
            fields["hashed_password"] = await passwords.hashed(password)
        if await self._lock(user) is None:
            raise InvalidPasswordException(OVERTAKEN)
        try:
            return await super()._update(user, fields)
        except (IntegrityError, UserAlreadyExists):
            await self.session.rollback()
            raise UserAlreadyExists from None
