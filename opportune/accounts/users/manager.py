"""FastAPI Users' manager and database on the session of whoever asks. What hashes does so before it locks anything."""

from collections.abc import Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

from fastapi import Request
from fastapi_users import BaseUserManager, InvalidID, InvalidPasswordException, exceptions
from fastapi_users.db import BaseUserDatabase
from pydantic import BaseModel
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.emails import signed_links
from opportune.accounts.emails.delivery import send_account_email
from opportune.accounts.models import ApiToken, LinkedAccount, Passkey, RecoveryCode, Session, User, UserBase
from opportune.accounts.passwords import hashing
from opportune.accounts.passwords.rules import find_password_problem
from opportune.accounts.schemas import UserCreate
from opportune.accounts.users.errors import (
    CHANGED_MEANWHILE,
    AccountLinkedError,
    EmailTakenError,
    InvalidLinkError,
    InvalidPasswordError,
)
from opportune.accounts.users.lookup import REQUEST_KEY, find_by_email
from opportune.config.project import installed_features
from opportune.config.settings import Settings, get_settings
from opportune.db.model import MAX_ID

U = TypeVar("U", bound=UserBase)

GUARDED_FIELDS = set(UserBase.model_fields) - {"email"}
"""What nobody sets of themselves."""


class Credentials(Protocol):
    """What FastAPI's OAuth2PasswordRequestForm has, and whatever else names a user and a password."""

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...


class UserTaken(EmailTakenError, exceptions.UserAlreadyExists):
    """FastAPI Users' exception and ours."""


class PasswordRefused(InvalidPasswordError, InvalidPasswordException):
    """FastAPI Users' exception and ours."""

    def __init__(self, reason: Any) -> None:
        super().__init__(str(reason))
        self.reason = reason


class LinkRefused(InvalidLinkError, exceptions.InvalidResetPasswordToken, exceptions.InvalidVerifyToken):
    """FastAPI Users' exceptions and ours."""


class UserDatabase(BaseUserDatabase[Any, int]):
    """Users in a session: what is done here is flushed, and committed with all else that the session has done."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, id: int) -> User | None:  # noqa: A002 - FastAPI Users' word
        return await self.session.get(User, id)

    async def get_by_email(self, email: str) -> User | None:
        return await find_by_email(self.session, email)

    async def create(self, create_dict: Mapping[str, Any]) -> User:
        """Raises UserTaken: also where two register an address at once."""
        self.session.add(user := User(**{**create_dict, "email": create_dict["email"].lower()}))
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            raise UserTaken from None
        return user

    async def update(self, user: User, update_dict: Mapping[str, Any]) -> User:
        """Raises UserTaken."""
        self.session.add(user)
        user.sqlmodel_update(dict(update_dict))
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            await self.session.refresh(user)  # the page that says so shows them, too
            raise UserTaken from None
        return user

    async def delete(self, user: User) -> None:
        self.session.add(user)
        await self.session.delete(user)
        await self.session.flush()

    async def get_by_oauth_account(self, oauth: str, account_id: str) -> User | None:
        """Whom this account of the issuer `oauth` signs in."""
        linked = (col(LinkedAccount.issuer) == oauth, col(LinkedAccount.subject) == account_id)
        user: User | None = await self.session.scalar(
            select(User).join(LinkedAccount, col(LinkedAccount.user_id) == col(User.id)).where(*linked)
        )
        return user

    async def add_oauth_account(self, user: Any, create_dict: dict[str, Any]) -> Any:
        """Raises AccountLinkedError. Tokens of the provider are not kept."""
        issuer, subject, email = (create_dict[name] for name in ("oauth_name", "account_id", "account_email"))
        self.session.add(LinkedAccount(user_id=user.id, issuer=issuer, subject=subject, email=email))
        try:
            await self.session.flush()
        except IntegrityError:
            await self.session.rollback()
            raise AccountLinkedError from None
        return user


class UserManager(BaseUserManager[U, int], Generic[U]):
    """Makes, finds and changes users: FastAPI Users' manager, which never hashes in the event loop.

    The project's own is in `app/users/manager.py`. `on_after_register`, `on_after_update`, `on_after_verify`,
    `on_before_delete` and `on_after_delete` run in the transaction of the change, whichever way it happens, as hooks
    of the table (docs/hooks.md), and `validate_password` is asked for each new password.
    """

    user_db: UserDatabase

    def __init__(self, user_db: UserDatabase, *, settings: Settings | None = None) -> None:
        super().__init__(user_db, hashing.password_helper)
        self.session = user_db.session
        self.settings: Settings = settings or self.session.info.get("settings") or get_settings()

    @classmethod
    def in_session(cls, session: AsyncSession, settings: Settings | None = None) -> Self:
        """Create a manager that writes in this session."""
        return cls(UserDatabase(session), settings=settings)

    @property
    def request(self) -> Request | None:
        """The request that caused the change; None in commands and jobs."""
        request: Request | None = self.session.info.get(REQUEST_KEY)
        return request

    async def release(self) -> None:
        """Commit what is done so far: others may write, and have the connection, while something here takes long."""
        await self.session.commit()

    def parse_id(self, value: Any) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= MAX_ID):
            raise InvalidID
        return int(text)

    # New ones

    async def create(self, user_create: BaseModel, safe: bool = False, request: Request | None = None) -> U:
        """Make a user of a schema; `safe` leaves out what nobody may give themselves.

        Raises:
            InvalidPasswordException, UserAlreadyExists: as FastAPI Users does, and so our own, which are both.
        """
        fields = _fields(user_create, safe=safe)
        return await self.register(fields.pop("email"), fields.pop("password"), **fields)

    async def may_register(self, email: str) -> bool:
        """Return whether a visitor may make an account with this address. Superusers and commands do not ask."""
        if self.settings.registration != "invited":
            return self.settings.registration == "open"
        checks = (feature.is_invited for feature in installed_features() if feature.is_invited)
        return any([await is_invited(self.session, email.lower()) for is_invited in checks])

    async def register(self, email: str, password: str, **fields: Any) -> U:
        """Make a user.

        Raises:
            InvalidPasswordError: the password is too weak.
            EmailTakenError: the e-mail has an account.
        """
        return await self.add(email, await self.hashed(password, email), **fields)

    async def add(self, email: str, hashed_password: str, **fields: Any) -> U:
        """Make a user as `register` does, of a password that has been looked at and hashed."""
        made: Any = await self.user_db.create({**fields, "email": email, "hashed_password": hashed_password})
        user: U = made
        return user

    async def oauth_callback(  # noqa: PLR0913 - FastAPI Users' signature
        self,
        oauth_name: str,
        access_token: str,
        account_id: str,
        account_email: str,
        expires_at: int | None = None,
        refresh_token: str | None = None,
        request: Request | None = None,
        *,
        associate_by_email: bool = False,
        is_verified_by_default: bool = False,
    ) -> U:
        """The user of an account elsewhere, whose issuer is `oauth_name`: of today, or made here, without a password.

        Nobody gets an account by its address alone, so `associate_by_email` counts for nothing, and no token is kept.

        Raises:
            UserAlreadyExists: the address has an account, which has to be signed in to first.
        """
        try:
            found = await self.user_db.get_by_oauth_account(oauth_name, account_id)
            user: Any = found or await self._add_oauth(oauth_name, account_id, account_email, is_verified_by_default)
        except (EmailTakenError, AccountLinkedError):
            # Perhaps by the same person, in another window, just now.
            user = await self.user_db.get_by_oauth_account(oauth_name, account_id)
            if user is None:
                raise UserTaken from None
        known: U = user
        return known

    async def _add_oauth(self, issuer: str, subject: str, email: str, is_verified: bool) -> Any:
        made = await self.add(email, "", is_verified=is_verified)
        linked = {"oauth_name": issuer, "account_id": subject, "account_email": email}
        return await self.user_db.add_oauth_account(made, linked)

    # Changes

    async def update(self, user_update: BaseModel, user: U, safe: bool = False, request: Request | None = None) -> U:
        """Change what a schema was given; `safe` leaves out what nobody may give themselves.

        Raises:
            InvalidPasswordException, UserAlreadyExists: as `create`.
        """
        fields = _fields(user_update, safe=safe)
        password, email = fields.pop("password", None), fields.pop("email", None)
        if password is not None or email is not None:
            user = await self.change(user, email=email, password=password)
        await self.user_db.update(user, fields)
        return user

    async def change(
        self, user: U, *, email: str | None = None, password: str | None = None, is_verified: bool | None = None
    ) -> U:
        """Change e-mail or password, or both. Whoever calls this tells the owner.

        A new password ends every session and token of the user. A new e-mail counts as not verified, unless it is.

        Raises:
            InvalidPasswordError: it is too weak, or somebody else has just changed it or the e-mail.
            EmailTakenError: the e-mail has another account.
        """
        hashed_password = None if password is None else await self.hashed(password, user.email, user)
        if await self._lock(user) is None:
            raise PasswordRefused(CHANGED_MEANWHILE)
        changes: dict[str, Any] = {}
        if email is not None and email.lower() != user.email:
            changes |= {"email": email.lower(), "is_verified": False}
        if hashed_password is not None:
            changes["hashed_password"] = hashed_password
        if is_verified is not None:
            changes["is_verified"] = is_verified
        await self.user_db.update(user, changes)
        return user

    async def delete(self, user: U, request: Request | None = None) -> None:
        await self.user_db.delete(user)

    async def verify(self, token: str, request: Request | None = None) -> U:
        """Take a link for the proof of its address, without asking the password, which the site's own page does.

        Raises:
            InvalidVerifyToken, UserAlreadyVerified: as FastAPI Users does.
        """
        found: Any = await signed_links.read_link_token(self.session, self.settings, "verify", token)
        if found is None:
            raise LinkRefused
        if found[0].is_verified:
            raise exceptions.UserAlreadyVerified
        return await self.change(found[0], is_verified=True)

    async def reset_password(self, token: str, password: str, request: Request | None = None) -> U:
        """Give the user of a link a new password, which signs them out everywhere.

        Raises:
            InvalidResetPasswordToken: the link is not ours, too old, or has been used.
            InvalidPasswordException: as `create`. The link can be used again.
        """
        found: Any = await signed_links.read_link_token(self.session, self.settings, "reset", token)
        await self.release()
        if found is None:
            raise LinkRefused
        was_verified = found[0].is_verified
        # The link has come by mail, so the address is theirs.
        user: U = await self.change(found[0], password=password, is_verified=True)
        if not was_verified:
            await self._delete_linked_sign_in_methods(user)
        await self.on_after_reset_password(user, self.request)
        return user

    async def prove_email(self, user: U) -> None:
        """Verify the address of somebody who reads its mail, and make the account theirs.

        A stranger may have opened it: its password, and all that somebody has signed in with, end.
        """
        await self.user_db.update(user, {"hashed_password": "", "is_verified": True})
        for kind in (Session, ApiToken):
            await self.session.execute(delete(kind).where(col(kind.user_id) == user.id))
        await self._delete_linked_sign_in_methods(user)

    async def _delete_linked_sign_in_methods(self, user: U) -> None:
        """A stranger may have registered the address, linked an account of theirs, and added devices."""
        await self.user_db.update(user, {"totp_secret": "", "totp_step": 0})
        for kind in (LinkedAccount, Passkey, RecoveryCode):
            await self.session.execute(delete(kind).where(col(kind.user_id) == user.id))

    # E-mails, which a job asks for: nobody learns from an answer who has an account

    async def forgot_password(self, user: U, request: Request | None = None) -> None:
        """Make a link to a new password. Raises UserInactive."""
        if not user.is_active:
            raise exceptions.UserInactive
        token = signed_links.make_link_token(self.settings, "reset", user)
        await self.on_after_forgot_password(user, token, self.request)

    async def on_after_forgot_password(self, user: U, token: str, request: Request | None = None) -> None:
        """Send the link; what takes this place sends its own."""
        send_account_email(self.session, self.settings, user.email, "reset", token=token)

    async def request_verify(self, user: U, request: Request | None = None) -> None:
        """Make a link that proves that the address is theirs. Raises UserInactive and UserAlreadyVerified."""
        if not user.is_active:
            raise exceptions.UserInactive
        if user.is_verified:
            raise exceptions.UserAlreadyVerified
        token = signed_links.make_link_token(self.settings, "verify", user)
        await self.on_after_request_verify(user, token, self.request)

    async def on_after_request_verify(self, user: U, token: str, request: Request | None = None) -> None:
        """Send the link; what takes this place sends its own."""
        send_account_email(self.session, self.settings, user.email, "verify", token=token)

    # Passwords

    async def validate_password(self, password: str, user: Any) -> None:
        """Check a new password; `user` has the `email`. Raises InvalidPasswordException with a sentence."""
        name = user.get_short_name() if isinstance(user, UserBase) else ""
        if reason := await find_password_problem(password, user.email, self.settings, name):
            raise PasswordRefused(reason)

    async def check_new_password(self, password: str, email: str, user: U | None = None) -> None:
        """Ask `validate_password`, of somebody who may not have an account yet. Raises InvalidPasswordError."""
        try:
            await self.validate_password(password, user or UserCreate.model_construct(email=email, password=password))
        except InvalidPasswordException as refusal:
            raise PasswordRefused(refusal.reason) from None

    async def hashed(self, password: str, email: str, user: U | None = None) -> str:
        """A new password as it is stored. Raises InvalidPasswordError."""
        await self.check_new_password(password, email, user)
        return await hashing.hash_password(password)

    async def is_taken(self, email: str) -> bool:
        return await find_by_email(self.session, email) is not None

    async def is_password_of(self, user: U, password: str) -> bool:
        right, _better = await hashing.verify_password(password, user.hashed_password)
        return right

    async def authenticate(self, credentials: Credentials) -> U | None:
        """The active user with this e-mail and password. Nobody can tell from the time which of them was wrong.

        The user stays locked until the transaction ends: start the session in it, and no new password comes between.
        """
        found: Any = await find_by_email(self.session, credentials.username)
        user: U | None = found
        await self.release()
        if user is None:
            await hashing.verify_without_user(credentials.password)
            return None
        right, better = await hashing.verify_password(credentials.password, user.hashed_password)
        if not right or not await self.is_unchanged(user):
            return None
        if better:  # by a statement, which ends no session: the password is the same
            await self.session.execute(update(User).where(col(User.id) == user.id).values(hashed_password=better))
        return user

    async def is_unchanged(self, user: U) -> bool:
        """Whether a user who was read before is still active, with the same password, e-mail and second factor."""
        return bool(await self._lock(user))

    async def _lock(self, user: U) -> bool | None:
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


def _fields(schema: BaseModel, *, safe: bool) -> dict[str, Any]:
    """What a schema was given, without what only proves who asks."""
    given = {name: getattr(schema, name) for name in schema.model_fields_set if name != "current_password"}
    return {name: value for name, value in given.items() if not (safe and name in GUARDED_FIELDS)}
