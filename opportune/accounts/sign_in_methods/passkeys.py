"""Passkey ceremonies of one browser: registration and verification."""

import base64
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import Passkey, User
from opportune.accounts.sessions.service import UserSessions, forget_confirmations
from opportune.accounts.sign_in_methods import webauthn
from opportune.accounts.sign_in_methods.recovery_codes import renew_recovery_codes
from opportune.accounts.sign_in_methods.second_factor import has_second_factor
from opportune.accounts.sign_in_methods.webauthn import (
    NOT_BELIEVED,
    Ceremony,
    PasskeyRefused,
    Purpose,
    Question,
    RelyingParty,
)
from opportune.accounts.tokens.service import delete_access_tokens
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import CHANGED_MEANWHILE
from opportune.db.models.model import utc_now
from opportune.web.rate_limit import Hit, RateLimit

if TYPE_CHECKING:
    from webauthn.registration.verify_registration_response import VerifiedRegistration

FAILURES_PER_ADDRESS = RateLimit("accounts.passkey_failures_per_address", 20)
FAILURES_PER_USER = RateLimit("accounts.passkey_failures_per_user", 10)
MAX_PASSKEYS_PER_USER = 50
MAX_CREDENTIAL_ID_BYTES = 1023
MAX_PUBLIC_KEY_BYTES = 6000

UNKNOWN = "This site does not know this passkey. If you removed it here, also remove it from your device."
NONE_YET = "You have no passkey yet."
CLOSED = "This account is deactivated."
TAKEN = "This passkey has been added already."
TOO_MANY = "You have the maximum number of passkeys. Remove one first."

CREDENTIAL_ID = re.compile(r"[A-Za-z0-9_-]{1,1400}")
TRANSPORTS = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")


@dataclass(frozen=True)
class PasskeyCeremonies:
    """Ceremonies between one browser and this site, for `user` if given."""

    context: AccountContext
    site: RelyingParty
    browser: str
    """The id of its session; before sign-in, the value of a cookie."""
    user: User | None = None

    async def ask(self, purpose: Purpose) -> Question:
        """Return the question for the browser.

        Raises:
            PasskeyRefused: the user has no passkey to show, or no room for another one.
        """
        settings = self.context.settings
        existing = await find_passkeys(self.context.session, self.user) if self.user else []
        if self.user and purpose == "add":
            if len(existing) >= MAX_PASSKEYS_PER_USER:
                raise PasskeyRefused(TOO_MANY)
            handle = existing[0].user_handle if existing else secrets.token_urlsafe(32)
            ceremony = webauthn.new_ceremony(purpose, self.browser, self.user, handle)
            return await webauthn.ask_to_create(settings, self.site, ceremony, self.user, existing)
        if self.user and not existing:
            raise PasskeyRefused(NONE_YET)
        ceremony = webauthn.new_ceremony(purpose, self.browser, self.user)
        return await webauthn.ask_to_show(settings, self.site, ceremony, existing)

    async def show(self, purpose: Purpose, assertion: str) -> User:
        """Return the owner of the passkey, locked until the transaction ends.

        Raises:
            PasskeyRefused: with a message for the user.
            TooManyRequests: too many were refused before.
        """
        try:
            return await self._show(purpose, assertion)
        except PasskeyRefused:
            self.context.log_refused_sign_in("passkey", self.user)
            raise

    async def _show(self, purpose: Purpose, assertion: str) -> User:
        session = self.context.session
        ceremony, credential, failure = await self._read(purpose, assertion)
        passkey, owner = await self._find(credential)
        await self.context.manager.release()
        verified = await webauthn.verify_shown(self.site, ceremony, credential, passkey)
        # In the meantime the owner may have removed it or been deactivated, or a copy of it may have been used.
        if not await self.context.manager.is_unchanged(owner):
            raise PasskeyRefused(CLOSED)
        same = (col(Passkey.id) == passkey.id, col(Passkey.sign_count) == passkey.sign_count)
        used = update(Passkey).where(*same).values(sign_count=verified.new_sign_count, used_at=utc_now())
        if await session.scalar(used.returning(col(Passkey.id))) is None:
            raise PasskeyRefused(NOT_BELIEVED)
        await self.context.limiter.refund(session, failure)
        return owner

    async def add(self, user: User, assertion: str, name: str, keep_session: int | None = None) -> list[str]:
        """Store a new passkey; return recovery codes if it is the user's first second factor.

        In that case other sessions and access tokens end, because they started without a second factor.

        Raises:
            PasskeyRefused, TooManyRequests: as `show`.
        """
        context, session = self.context, self.context.session
        ceremony, credential, failure = await self._read("add", assertion)
        made = await webauthn.verify_created(self.site, ceremony, credential)
        if not await context.manager.is_unchanged(user):
            raise PasskeyRefused(CHANGED_MEANWHILE)
        if len(await find_passkeys(session, user)) >= MAX_PASSKEYS_PER_USER:
            raise PasskeyRefused(TOO_MANY)
        is_first = not await has_second_factor(session, user)
        session.add(_row_of(user, name, ceremony, made, credential))
        try:
            await session.flush()
        except IntegrityError:
            await session.rollback()
            raise PasskeyRefused(TAKEN) from None
        record_event(context, user, "passkey_added", name=name)
        await context.limiter.refund(session, failure)
        if not is_first:
            return []
        await UserSessions(session, user.id).delete_all(keep=keep_session)
        await forget_confirmations(session, user)
        await delete_access_tokens(session, user, keep=None)
        return await renew_recovery_codes(session, user)

    async def _read(self, purpose: Purpose, assertion: str) -> tuple[Ceremony, dict[str, Any], Hit]:
        """Read the assertion, and count a failure that is refunded if the assertion is valid."""
        await self.context.manager.release()
        failure = (
            FAILURES_PER_USER.by(self.user.id) if self.user else FAILURES_PER_ADDRESS.by(self.context.client.address)
        )
        await self.context.limiter.hit(failure)
        return *await webauthn.read_assertion(self.context, assertion, purpose, self.browser, self.user), failure

    async def _find(self, credential: Mapping[str, Any]) -> tuple[Passkey, User]:
        """Return the passkey that a device names, and its owner, who must be the user of both question and device."""
        number, response = credential.get("id"), credential.get("response")
        handle = response.get("userHandle") if isinstance(response, dict) else None
        if not isinstance(number, str) or not CREDENTIAL_ID.fullmatch(number):
            raise PasskeyRefused(NOT_BELIEVED)
        rows = select(Passkey, User).join(User, col(User.id) == col(Passkey.user_id))
        found = (await self.context.session.execute(rows.where(col(Passkey.credential_id) == number))).one_or_none()
        if found is None:
            raise PasskeyRefused(UNKNOWN)
        passkey, owner = found
        is_owner = self.user is not None and self.user.id == owner.id
        # The library checks neither. If the question names the user, the device may leave out the user handle.
        if (self.user and not is_owner) or not (handle == passkey.user_handle or (is_owner and handle is None)):
            raise PasskeyRefused(NOT_BELIEVED)
        return passkey, owner


async def find_passkeys(session: AsyncSession, user: User) -> Sequence[Passkey]:
    """Return the user's passkeys, oldest first."""
    mine = select(Passkey).where(col(Passkey.user_id) == user.id).order_by(col(Passkey.id))
    return (await session.scalars(mine)).all()


def _row_of(
    user: User, name: str, ceremony: Ceremony, made: "VerifiedRegistration", credential: Mapping[str, Any]
) -> Passkey:
    """Raises PasskeyRefused if a value is longer than those that devices create."""
    if len(made.credential_id) > MAX_CREDENTIAL_ID_BYTES or len(made.credential_public_key) > MAX_PUBLIC_KEY_BYTES:
        raise PasskeyRefused(NOT_BELIEVED)
    transports = credential["response"].get("transports")
    return Passkey(
        user_id=user.id,
        name=name,
        credential_id=_base64url(made.credential_id),
        public_key=_base64url(made.credential_public_key),
        user_handle=ceremony.handle,
        sign_count=made.sign_count,
        transports=",".join(name for name in TRANSPORTS if isinstance(transports, list) and name in transports),
        verifies_user=made.user_verified,
        is_synced=made.credential_backed_up,
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
