"""Users made, found and changed, in the transaction of whoever asks. What hashes does so before it locks anything."""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import passwords
from opportune.accounts.models import User

EMAIL_TAKEN = "There is an account with this e-mail already."
WRONG_CURRENT_PASSWORD = "This is not your current password."  # noqa: S105 - a sentence
CHANGED_MEANWHILE = "The account was changed at the same moment. Please try again."


class InvalidPasswordError(Exception):
    """A password that is not taken; the message tells its owner why."""


class EmailTakenError(Exception):
    """There is an account with this e-mail, whatever its case."""


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """The user with this e-mail, whatever its case."""
    user: User | None = await session.scalar(select(User).where(func.lower(col(User.email)) == email.strip().lower()))
    return user


class UserManager:
    """Makes, finds and changes users, in a session that writes."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def release(self) -> None:
        """Commit what is done so far: others may write, and have the connection, while something here takes long."""
        await self.session.commit()

    async def register(self, email: str, password: str, **flags: bool) -> User:
        """Make a user.

        Raises:
            InvalidPasswordError: it is too weak.
            EmailTakenError: the e-mail has an account.
        """
        return await self.add(email, await self._hashed(password, email), **flags)

    async def add(self, email: str, hashed_password: str, **flags: bool) -> User:
        """Make a user as `register` does, of a password that has been looked at and hashed."""
        fields: dict[str, Any] = {"email": email.lower(), "hashed_password": hashed_password, **flags}
        self.session.add(user := User(**fields))
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            raise EmailTakenError from None
        return user

    async def change(
        self, user: User, *, email: str | None = None, password: str | None = None, is_verified: bool | None = None
    ) -> User:
        """Change e-mail or password, or both. Whoever calls this tells the owner.

        A new password ends every session and token of the user. A new e-mail counts as not verified, unless it is.

        Raises:
            InvalidPasswordError: it is too weak, or somebody else has just changed it or the e-mail.
            EmailTakenError: the e-mail has another account.
        """
        hashed_password = None if password is None else await self._hashed(password, user.email)
        if await self._lock(user) is None:
            raise InvalidPasswordError(CHANGED_MEANWHILE)
        self.session.add(user)
        if email is not None and email.lower() != user.email:
            user.email, user.is_verified = email.lower(), False
        if hashed_password is not None:
            user.hashed_password = hashed_password
        if is_verified is not None:
            user.is_verified = is_verified
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            await self.session.refresh(user)  # the page that says so shows them, too
            raise EmailTakenError from None
        return user

    async def is_taken(self, email: str) -> bool:
        return await find_by_email(self.session, email) is not None

    async def is_password_of(self, user: User, password: str) -> bool:
        right, _better = await passwords.verify_password(password, user.hashed_password)
        return right

    async def authenticate(self, email: str, password: str) -> User | None:
        """The active user with this e-mail and password. Nobody can tell from the time which of them was wrong.

        The user stays locked until the transaction ends: start the session in it, and no new password comes between.
        """
        user = await find_by_email(self.session, email)
        await self.release()
        if user is None:
            await passwords.verify_without_user(password)
            return None
        right, better = await passwords.verify_password(password, user.hashed_password)
        if not right or not await self.is_unchanged(user):
            return None
        if better:  # by a statement, which ends no session: the password is the same
            await self.session.execute(update(User).where(col(User.id) == user.id).values(hashed_password=better))
        return user

    async def is_unchanged(self, user: User) -> bool:
        """Whether a user who was read before is still active, with the same password, e-mail and second factor."""
        return bool(await self._lock(user))

    async def _lock(self, user: User) -> bool | None:
        """Whether the user is active, or None if password, e-mail or the need of a code are not those that we know.

        Hashing takes its time, in which the owner may have shut out whoever knows the old password, or it alone, or the
        account may have got an address that no link proves.
        """
        same = (
            col(User.id) == user.id,
            col(User.email) == user.email,
            col(User.hashed_password) == user.hashed_password,
            (col(User.totp_secret) != "") == user.has_two_factor,
        )
        active: bool | None = await self.session.scalar(select(col(User.is_active)).where(*same).with_for_update())
        return active

    async def _hashed(self, password: str, email: str) -> str:
        if reason := passwords.password_problem(password, email):
            raise InvalidPasswordError(reason)
        return await passwords.hash_password(password)
