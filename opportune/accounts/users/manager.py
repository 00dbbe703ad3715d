"""The user manager of FastAPI Users, in the session of the request.

Passwords are hashed before rows are locked, because hashing is slow. The session is committed before slow steps, so
that other requests can write and use the connection.
"""

from typing import Any, Generic, Protocol, Self, cast

from fastapi import Request
from fastapi_users import BaseUserManager, InvalidID, InvalidPasswordException, exceptions
from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import signed_links
from opportune.accounts.emails import send_account_email
from opportune.accounts.models import User, UserBase
from opportune.accounts.passwords import hashing
from opportune.accounts.passwords.rules import find_password_problem
from opportune.accounts.schemas import UserCreate
from opportune.accounts.users.database import LinkRefused, PasswordRefused, U, UserDatabase, UserTaken
from opportune.accounts.users.errors import CHANGED_MEANWHILE, AccountLinkedError, EmailTakenError
from opportune.accounts.users.queries import REQUEST_KEY, delete_all_sessions, delete_sign_in_methods, find_by_email
from opportune.config.email_domains import normalize_email
from opportune.config.settings import Settings, get_settings
from opportune.db.models.row_ids import parse_row_id
from opportune.i18n.languages import current_language
from opportune.project.installed import installed_features
from opportune.web.language import offered_languages

GUARDED_FIELDS = set(UserBase.model_fields) - {"email"}
"""Fields that users cannot set in their own account."""


class Credentials(Protocol):
    """A user name and a password, such as FastAPI's `OAuth2PasswordRequestForm`."""

    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...


class UserManager(BaseUserManager[U, int], Generic[U]):
    """The user manager of FastAPI Users. It hashes passwords in a thread.

    The project's subclass is in `app/users/manager.py`. `on_after_register`, `on_after_update`, `on_after_verify`,
    `on_before_delete` and `on_after_delete` are hooks of the table. They run in the transaction of
    every change, including changes by the admin and by commands. `validate_password` checks each new password.
    """

    user_db: UserDatabase[U]

    def __init__(self, user_db: UserDatabase[U], *, settings: Settings | None = None) -> None:
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
        return cast("Request | None", self.session.info.get(REQUEST_KEY))

    def parse_id(self, value: Any) -> int:
        user_id = parse_row_id(str(value))
        if user_id is None:
            raise InvalidID
        return user_id

    # Registration

    async def create(self, user_create: BaseModel, safe: bool = False, request: Request | None = None) -> U:
        """Create a user from a schema; `safe` ignores the guarded fields.

        Raises:
            InvalidPasswordException: The password is too weak. It is also an `InvalidPasswordError`.
            UserAlreadyExists: Another account has this e-mail. It is also an `EmailTakenError`.
        """
        fields = _set_fields(user_create, safe=safe)
        return await self.register(fields.pop("email"), fields.pop("password"), **fields)

    async def may_register(self, email: str) -> bool:
        """Return whether a visitor may register this address. Superusers and commands skip this check."""
        if self.settings.registration != "invited":
            return self.settings.registration == "open"
        checks = (feature.accounts.is_invited for feature in installed_features() if feature.accounts.is_invited)
        return any([await is_invited(self.session, normalize_email(email)) for is_invited in checks])

    async def register(self, email: str, password: str, **fields: Any) -> U:
        """Create a user.

        Raises:
            InvalidPasswordError: The password is too weak.
            EmailTakenError: Another account has this e-mail.
        """
        return await self.add(email, await self.hash_new_password(password, email), **fields)

    async def add(self, email: str, hashed_password: str, **fields: Any) -> U:
        """Create a user with a password that is already checked and hashed."""
        is_visitor = self.request is not None and len(offered_languages(self.settings)) > 1
        fields = {"language": current_language.get() if is_visitor else "", **fields}
        return await self.user_db.create({**fields, "email": email, "hashed_password": hashed_password})

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
        """Return the user of an account of the issuer `oauth_name`, or create one without a password.

        Accounts with the same address are not linked: `associate_by_email` is ignored. No token is stored.

        Raises:
            UserAlreadyExists: The address has an account. Its owner must sign in and then link the other account.
        """
        try:
            if linked_user := await self.user_db.get_by_oauth_account(oauth_name, account_id):
                return linked_user
            new_user = await self.add(account_email, "", is_verified=is_verified_by_default)
            linked = {"oauth_name": oauth_name, "account_id": account_id, "account_email": account_email}
            return await self.user_db.add_oauth_account(new_user, linked)
        except (EmailTakenError, AccountLinkedError):
            # Another window of the same browser may have created the account during this request.
            linked_user = await self.user_db.get_by_oauth_account(oauth_name, account_id)
            if linked_user is None:
                raise UserTaken from None
            return linked_user

    # Changes

    async def update(self, user_update: BaseModel, user: U, safe: bool = False, request: Request | None = None) -> U:
        """Change the fields that are set in a schema; `safe` ignores the guarded fields.

        Raises:
            InvalidPasswordException, UserAlreadyExists: As `create`.
        """
        fields = _set_fields(user_update, safe=safe)
        password = fields.pop("password", None)
        email = fields.pop("email", None)
        if password is not None or email is not None:
            user = await self.change(user, email=email, password=password)
        await self.user_db.update(user, fields)
        return user

    async def change(
        self, user: U, *, email: str | None = None, password: str | None = None, is_verified: bool | None = None
    ) -> U:
        """Change e-mail, password or both. The caller must notify the user.

        A new password ends every session and token of the user. A new e-mail is unverified. `is_verified` overrides
        this; None keeps the state.

        Raises:
            InvalidPasswordError: The password is too weak, or another request has just changed password or e-mail.
            EmailTakenError: Another account has this e-mail.
        """
        hashed_password = None if password is None else await self.hash_new_password(password, user.email, user)
        if await self._lock(user) is None:
            raise PasswordRefused(CHANGED_MEANWHILE)
        changes: dict[str, Any] = {}
        if email is not None and normalize_email(email) != user.email:
            changes |= {"email": normalize_email(email), "is_verified": False}
        if hashed_password is not None:
            changes["hashed_password"] = hashed_password
        if is_verified is not None:
            changes["is_verified"] = is_verified
        await self.user_db.update(user, changes)
        return user

    async def delete(self, user: U, request: Request | None = None) -> None:
        await self.user_db.delete(user)

    async def verify(self, token: str, request: Request | None = None) -> U:
        """Verify the address of a link without a password. The site's own page also asks for the password.

        Raises:
            InvalidVerifyToken: The link is invalid, expired or used.
            UserAlreadyVerified: The address is verified.
        """
        user = await self._read_user(token, "verify")
        if user.is_verified:
            raise exceptions.UserAlreadyVerified
        return await self.change(user, is_verified=True)

    async def reset_password(self, token: str, password: str, request: Request | None = None) -> U:
        """Set a new password for the user of a link, and sign them out everywhere.

        Raises:
            InvalidResetPasswordToken: The link was not made by this site, is too old, or has been used.
            InvalidPasswordException: As `create`. The link can be used again.
        """
        user = await self._read_user(token, "reset")
        await self.session.commit()
        was_verified = user.is_verified
        # The link was sent to the address, so opening it verifies the address.
        await self.change(user, password=password, is_verified=True)
        if not was_verified:
            await delete_sign_in_methods(self.session, user)
        await self.on_after_reset_password(user, self.request)
        return user

    async def _read_user(self, link_token: str, purpose: str) -> U:
        link = await signed_links.read_link_token(self.session, self.settings, purpose, link_token)
        if link is None:
            raise LinkRefused
        return cast("U", link.user)

    async def prove_email(self, user: U) -> None:
        """Verify the address of a user who has received an e-mail there, and remove all other credentials.

        Another person may have registered the address, so its password, sessions, tokens and sign-in methods end.
        """
        await self.user_db.update(user, {"hashed_password": "", "is_verified": True})
        await delete_all_sessions(self.session, user)
        await delete_sign_in_methods(self.session, user)

    # E-mails. Jobs send them, so that responses do not reveal which addresses have an account.

    async def forgot_password(self, user: U, request: Request | None = None) -> None:
        """Create a link to choose a new password.

        Raises:
            UserInactive: The user may not sign in.
        """
        if not user.is_active:
            raise exceptions.UserInactive
        token = signed_links.make_link_token(self.settings, "reset", user)
        await self.on_after_forgot_password(user, token, self.request)

    async def on_after_forgot_password(self, user: U, token: str, request: Request | None = None) -> None:
        """Send the link. Override this to send another e-mail."""
        send_account_email(self.session, self.settings, user, "reset", token=token)

    async def request_verify(self, user: U, request: Request | None = None) -> None:
        """Create a link that verifies the address.

        Raises:
            UserInactive: The user may not sign in.
            UserAlreadyVerified: The address is verified.
        """
        if not user.is_active:
            raise exceptions.UserInactive
        if user.is_verified:
            raise exceptions.UserAlreadyVerified
        token = signed_links.make_link_token(self.settings, "verify", user)
        await self.on_after_request_verify(user, token, self.request)

    async def on_after_request_verify(self, user: U, token: str, request: Request | None = None) -> None:
        """Send the link. Override this to send another e-mail."""
        send_account_email(self.session, self.settings, user, "verify", token=token)

    # Passwords

    async def validate_password(self, password: str, user: Any) -> None:
        """Check a new password. `user` has the e-mail that the password must not contain.

        Raises:
            InvalidPasswordException: With a message for the user.
        """
        name = user.get_short_name() if isinstance(user, UserBase) else ""
        if reason := await find_password_problem(password, user.email, self.settings, name):
            raise PasswordRefused(reason)

    async def check_new_password(self, password: str, email: str, user: U | None = None) -> None:
        """Call `validate_password` for a user or a registration.

        Raises:
            InvalidPasswordError: The password breaks a rule.
        """
        try:
            await self.validate_password(password, user or UserCreate.model_construct(email=email, password=password))
        except InvalidPasswordException as refusal:
            raise PasswordRefused(str(refusal.reason)) from None

    async def hash_new_password(self, password: str, email: str, user: U | None = None) -> str:
        """Check a new password and return its hash.

        Raises:
            InvalidPasswordError: The password breaks a rule.
        """
        await self.check_new_password(password, email, user)
        return await hashing.hash_password(password)

    async def is_taken(self, email: str) -> bool:
        return await find_by_email(self.session, email) is not None

    async def authenticate(self, credentials: Credentials) -> U | None:
        """Return the active user with this e-mail and password. Unknown addresses take the same time.

        The user stays locked until the transaction ends. Start the session in the same transaction.
        Otherwise a concurrent change of the password would not end it.
        """
        user = await self.user_db.get_by_email(credentials.username)
        await self.session.commit()
        if user is None:
            await hashing.verify_without_user(credentials.password)
            return None
        result = await hashing.verify_password(credentials.password, user.hashed_password)
        if not result.is_correct or not await self.lock_unchanged(user):
            return None
        if result.new_hash:  # an UPDATE statement, because a change of the instance would end all sessions
            new_values = {"hashed_password": result.new_hash}
            await self.session.execute(update(User).where(col(User.id) == user.id).values(new_values))
        return user

    async def lock_unchanged(self, user: U) -> bool:
        """Lock the user. Return whether they are active, and password, e-mail and second factor are unchanged."""
        return bool(await self._lock(user))

    async def _lock(self, user: U) -> bool | None:
        """Lock the user, and return whether they are active; None if password, e-mail or second factor have changed.

        A concurrent request may have changed them, for example during a slow hash.
        """
        conditions = (
            col(User.id) == user.id,
            col(User.email) == user.email,
            col(User.hashed_password) == user.hashed_password,
            (col(User.totp_secret) != "") == user.has_two_factor,
        )
        active: bool | None = await self.session.scalar(
            select(col(User.is_active)).where(*conditions).with_for_update()
        )
        return active


def _set_fields(schema: BaseModel, *, safe: bool) -> dict[str, Any]:
    """Return the fields that are set in a schema; `safe` skips the guarded fields."""
    values = {name: getattr(schema, name) for name in schema.model_fields_set if name != "current_password"}
    return {name: value for name, value in values.items() if not (safe and name in GUARDED_FIELDS)}
