"""Passkeys of users: the ceremonies of one browser, which register and verify them, and their removal."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itsdangerous.encoding import base64_encode
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import Passkey, User
from opportune.accounts.sign_in_methods import second_factor, webauthn
from opportune.accounts.sign_in_methods.available import LAST_SIGN_IN_METHOD, count_sign_in_methods
from opportune.accounts.sign_in_methods.webauthn import NOT_VERIFIED, PasskeyRefused
from opportune.accounts.tokens.service import end_weaker_sign_ins
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import CHANGED_MEANWHILE
from opportune.db.clock import utc_now
from opportune.db.constraint_errors import flush_or_refuse
from opportune.errors import require_found
from opportune.i18n import gettext_lazy as _l
from opportune.web.rate_limit import Hit, RateLimit

if TYPE_CHECKING:
    from webauthn.registration.verify_registration_response import VerifiedRegistration

FAILURES_PER_IP = RateLimit("accounts.passkey_failures_per_address", 20)
FAILURES_PER_USER = RateLimit("accounts.passkey_failures_per_user", 10)
MAX_PASSKEYS_PER_USER = 50
MAX_CREDENTIAL_ID_BYTES = 1023
MAX_PUBLIC_KEY_BYTES = 6000

UNKNOWN = _l("This site does not know this passkey. If you removed it here, also remove it from your device.")
NO_PASSKEY = _l("You have no passkey yet.")
DEACTIVATED = _l("This account is deactivated.")
ALREADY_ADDED = _l("This passkey has already been added.")
TOO_MANY = _l("You have the maximum number of passkeys. Remove one first.")

CREDENTIAL_ID = re.compile(r"[A-Za-z0-9_-]{1,1400}")
TRANSPORTS = ("ble", "cable", "hybrid", "internal", "nfc", "smart-card", "usb")


@dataclass(frozen=True)
class PasskeyCeremonies:
    """Passkey ceremonies of one browser, for one user or for any user.

    A ceremony has two requests. `create_options` starts it, and `authenticate` or `add` checks the device's result.
    """

    context: AccountContext
    site: webauthn.RelyingParty
    browser_id: str
    """Id of the browser's session, or the value of a cookie if the browser is not signed in."""
    user: User | None = None
    """The only user whose passkeys are accepted; None accepts any user."""

    async def create_options(self, purpose: webauthn.Purpose) -> webauthn.CeremonyOptions:
        """Start a ceremony: return the options that the page passes to the device.

        Raises:
            PasskeyRefused: The user has no passkey, or already has the maximum number.
        """
        settings = self.context.settings
        existing = await find_passkeys(self.context.session, self.user) if self.user else []
        if self.user and purpose == "add":
            if len(existing) >= MAX_PASSKEYS_PER_USER:
                raise PasskeyRefused(TOO_MANY)
            user_handle = existing[0].user_handle if existing else secrets.token_urlsafe(32)
            ceremony = webauthn.create_ceremony(purpose, self.browser_id, self.user, user_handle)
            return await webauthn.create_registration_options(settings, self.site, ceremony, self.user, existing)
        if self.user and not existing:
            raise PasskeyRefused(NO_PASSKEY)
        ceremony = webauthn.create_ceremony(purpose, self.browser_id, self.user)
        return await webauthn.create_authentication_options(settings, self.site, ceremony, existing)

    async def authenticate(self, purpose: webauthn.Purpose, assertion: str) -> User:
        """Verify the assertion of a passkey, and return its owner, locked until the transaction ends.

        Raises:
            PasskeyRefused: With a message for the user.
            TooManyRequests: There were too many failures.
        """
        try:
            return await self._verify_assertion(purpose, assertion)
        except PasskeyRefused:
            self.context.log_refused_sign_in("passkey", self.user)
            raise

    async def _verify_assertion(self, purpose: webauthn.Purpose, assertion: str) -> User:
        session = self.context.session
        failure = await self._count_failure()
        ceremony, credential = await self._read_assertion(purpose, assertion)
        passkey, owner = await self._find_passkey(credential)
        await session.commit()
        verified = await webauthn.verify_authentication(self.site, ceremony, credential, passkey)
        # During the verification, the passkey may have been removed or used again, or its owner deactivated.
        if not await self.context.manager.lock_unchanged(owner):
            raise PasskeyRefused(DEACTIVATED)
        conditions = (col(Passkey.id) == passkey.id, col(Passkey.sign_count) == passkey.sign_count)
        statement = update(Passkey).where(*conditions).values(sign_count=verified.new_sign_count, used_at=utc_now())
        if await session.scalar(statement.returning(col(Passkey.id))) is None:
            raise PasskeyRefused(NOT_VERIFIED)
        await self.context.limiter.refund(session, failure)
        return owner

    async def add(self, user: User, assertion: str, name: str) -> list[str]:
        """Store a new passkey. Return recovery codes if it is the user's first second factor, else an empty list.

        With the first second factor, all other sessions end, and so do the access tokens of sign-ins.

        Raises:
            PasskeyRefused: With a message for the user.
            TooManyRequests: There were too many failures.
        """
        session = self.context.session
        failure = await self._count_failure()
        ceremony, credential = await self._read_assertion("add", assertion)
        verified = await webauthn.verify_creation(self.site, ceremony, credential)
        await self._check_may_add(user)
        is_first = not await second_factor.has_second_factor(session, user)
        session.add(_create_row(user, name, ceremony.handle, verified, credential))
        await flush_or_refuse(session, PasskeyRefused(ALREADY_ADDED))
        record_event(self.context, user, "passkey_created", name=name)
        await self.context.limiter.refund(session, failure)
        if not is_first:
            return []
        await end_weaker_sign_ins(self.context, user)
        return await second_factor.renew_recovery_codes(session, user)

    async def _check_may_add(self, user: User) -> None:
        """Lock the user. Raise PasskeyRefused if the account has changed, or has the maximum number of passkeys."""
        if not await self.context.manager.lock_unchanged(user):
            raise PasskeyRefused(CHANGED_MEANWHILE)
        if len(await find_passkeys(self.context.session, user)) >= MAX_PASSKEYS_PER_USER:
            raise PasskeyRefused(TOO_MANY)

    async def _count_failure(self) -> Hit:
        """Count a failure in advance. The caller refunds it after the verification."""
        await self.context.session.commit()
        failure = FAILURES_PER_USER.by(self.user.id) if self.user else FAILURES_PER_IP.by(self.context.client.address)
        await self.context.limiter.hit(failure)
        return failure

    async def _read_assertion(self, purpose: webauthn.Purpose, assertion: str) -> webauthn.Assertion:
        return await webauthn.read_assertion(self.context, assertion, purpose, self.browser_id, self.user)

    async def _find_passkey(self, credential: Mapping[str, Any]) -> tuple[Passkey, User]:
        """Return the passkey of a credential and its owner.

        Raises:
            PasskeyRefused: The passkey is unknown or belongs to another user.
        """
        credential_id = credential.get("id")
        response = credential.get("response")
        user_handle = response.get("userHandle") if isinstance(response, dict) else None
        if not isinstance(credential_id, str) or not CREDENTIAL_ID.fullmatch(credential_id):
            raise PasskeyRefused(NOT_VERIFIED)
        query = select(Passkey, User).join(User, col(User.id) == col(Passkey.user_id))
        query = query.where(col(Passkey.credential_id) == credential_id)
        row = (await self.context.session.execute(query)).one_or_none()
        if row is None:
            raise PasskeyRefused(UNKNOWN)
        passkey, owner = row
        # The library checks neither owner nor user handle. A device may omit the handle of a known user.
        accepted_handles = [passkey.user_handle, None] if self.user else [passkey.user_handle]
        is_of_other_user = self.user is not None and self.user.id != owner.id
        if is_of_other_user or user_handle not in accepted_handles:
            raise PasskeyRefused(NOT_VERIFIED)
        return passkey, owner


async def find_passkeys(session: AsyncSession, user: User) -> Sequence[Passkey]:
    """Return the user's passkeys, oldest first."""
    query = select(Passkey).where(col(Passkey.user_id) == user.id).order_by(col(Passkey.id))
    return (await session.scalars(query)).all()


async def update_passkey(session: AsyncSession, user: User, row_id: int, name: str) -> None:
    """Rename a passkey.

    Raises:
        NotFound: The user has no such passkey.
    """
    statement = update(Passkey).where(col(Passkey.id) == row_id, col(Passkey.user_id) == user.id)
    require_found(await session.scalar(statement.values(name=name).returning(col(Passkey.id))))


async def delete_passkey(context: AccountContext, user: User, row_id: int) -> None:
    """Remove a passkey, and notify the user by e-mail.

    Raises:
        NotFound: The user has no such passkey.
        PasskeyRefused: It is the user's last sign-in method, or the account was changed at the same moment.
    """
    # The lock keeps two concurrent requests from removing the last two methods.
    if not await context.manager.lock_unchanged(user):
        raise PasskeyRefused(CHANGED_MEANWHILE)
    passkey = require_found(next((row for row in await find_passkeys(context.session, user) if row.id == row_id), None))
    if passkey.verifies_user and (await count_sign_in_methods(context.session, context.settings, user)).total <= 1:
        raise PasskeyRefused(LAST_SIGN_IN_METHOD)
    await context.session.execute(delete(Passkey).where(col(Passkey.id) == row_id))
    if not await second_factor.has_second_factor(context.session, user):
        await second_factor.delete_recovery_codes(context.session, user)
    record_event(context, user, "passkey_deleted", name=passkey.name)


def _create_row(
    user: User, name: str, handle: str, verified: "VerifiedRegistration", credential: Mapping[str, Any]
) -> Passkey:
    """Create the row of a verified passkey.

    Raises:
        PasskeyRefused: Its id or key is too long.
    """
    public_key = verified.credential_public_key
    if len(verified.credential_id) > MAX_CREDENTIAL_ID_BYTES or len(public_key) > MAX_PUBLIC_KEY_BYTES:
        raise PasskeyRefused(NOT_VERIFIED)
    transports = credential["response"].get("transports")
    known_transports = [name for name in TRANSPORTS if isinstance(transports, list) and name in transports]
    return Passkey(
        user_id=user.id,
        name=name,
        credential_id=base64_encode(verified.credential_id).decode(),
        public_key=base64_encode(public_key).decode(),
        user_handle=handle,
        sign_count=verified.sign_count,
        transports=",".join(known_transports),
        verifies_user=verified.user_verified,
        is_synced=verified.credential_backed_up,
    )
