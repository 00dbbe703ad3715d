"""Second factors of a user: passkeys, or an authenticator app (TOTP) with recovery codes.

Each code is valid once. Of recovery codes, only the hashes are stored.
"""

import secrets
from textwrap import wrap
from typing import NamedTuple

from pyotp import TOTP, random_base32
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import Passkey, RecoveryCode, User
from opportune.accounts.sessions.credentials import hash_token
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.db.clock import utc_now
from opportune.db.database import Database

RECOVERY_CODE_COUNT = 10
# Without letters and digits that look alike. 16 characters have 78 bits, too many to guess a code from its hash.
RECOVERY_CODE_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
RECOVERY_CODE_LENGTH = 16
GROUP_LENGTH = 4
"""Characters of a key or code that are shown together."""
CLOCK_DRIFT_PERIODS = 1
"""Number of 30-second periods by which the clock of a phone may be wrong."""
SETUP_TIMEOUT_SECONDS = 600
"""Time in which the user must enter the first code."""


async def has_passkey(session: AsyncSession, user: User) -> bool:
    query = select(col(Passkey.id)).where(col(Passkey.user_id) == user.id).limit(1)
    return await session.scalar(query) is not None


async def has_second_factor(session: AsyncSession, user: User) -> bool:
    """Return whether a sign-in needs more than a password, an e-mail or a linked account."""
    return user.has_two_factor or await has_passkey(session, user)


async def setup_is_required(database: Database, settings: Settings, user: User) -> bool:
    """Return whether the site requires a second factor of this user, and the user has none."""
    policy = settings.needs_second_factor
    is_required = policy == "all" or (policy == "staff" and user.may_enter_admin)
    if user.has_two_factor or not is_required:
        return False
    async with database.reader(fresh=True) as session:
        return not await has_passkey(session, user)


async def renew_recovery_codes(session: AsyncSession, user: User) -> list[str]:
    """Replace the recovery codes, and return the new ones in plain text."""
    # Lock the user. Otherwise two concurrent requests would each store a set of codes.
    await session.execute(select(col(User.id)).where(col(User.id) == user.id).with_for_update())
    await delete_recovery_codes(session, user)
    codes = [
        "".join(secrets.choice(RECOVERY_CODE_ALPHABET) for _ in range(RECOVERY_CODE_LENGTH))
        for _ in range(RECOVERY_CODE_COUNT)
    ]
    session.add_all(RecoveryCode(user_id=user.id, code_hash=hash_token(code)) for code in codes)
    return ["-".join(wrap(code, GROUP_LENGTH)) for code in codes]


async def delete_recovery_codes(session: AsyncSession, user: User) -> None:
    await session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user.id))


async def count_recovery_codes(session: AsyncSession, user: User) -> int:
    count = select(func.count()).select_from(RecoveryCode).where(col(RecoveryCode.user_id) == user.id)
    return await session.scalar(count) or 0


class PendingSetup(NamedTuple):
    """A new key of an authenticator app. It is stored when the user enters its first code."""

    key: str
    sealed: str
    """The key, encrypted for this user. The page sends it back with the first code."""
    uri: str
    """The key as an `otpauth://` URL, which the QR code contains."""

    @property
    def spaced(self) -> str:
        """The key in groups of characters, easier to type."""
        return " ".join(wrap(self.key, GROUP_LENGTH))

    @property
    def picture(self) -> str:
        """The QR code as a data URI."""
        import segno

        return segno.make(self.uri, micro=False).svg_data_uri(scale=5, light="#fff", svgclass=None, lineclass=None)


async def verify_code(session: AsyncSession, settings: Settings, user: User, code: str) -> bool:
    """Return whether this is an unused code of the app, or a recovery code. The code cannot be used again."""
    code = "".join(code.split()).replace("-", "").lower()
    if len(code) == RECOVERY_CODE_LENGTH:
        conditions = (col(RecoveryCode.user_id) == user.id, col(RecoveryCode.code_hash) == hash_token(code))
        return await session.scalar(delete(RecoveryCode).where(*conditions).returning(col(RecoveryCode.id))) is not None
    key = unseal(settings, f"two-factor:{user.id}", user.totp_secret) if user.has_two_factor else None
    period = _find_period(key, code) if key else None
    return key is not None and period is not None and await _use_period(session, settings, user, key, period)


def start_setup(settings: Settings, user: User) -> PendingSetup:
    """Create a key for this user without storing it."""
    return _pending_setup(settings, user, random_base32())


def resume_setup(settings: Settings, user: User, sealed: str) -> PendingSetup | None:
    """Return the setup of a sealed key; None if it has expired or is for another user."""
    key = unseal(settings, f"two-factor to be:{user.id}", sealed, SETUP_TIMEOUT_SECONDS)
    return _pending_setup(settings, user, key) if key else None


async def enable(session: AsyncSession, settings: Settings, user: User, key: str, code: str) -> list[str] | None:
    """Turn on the app, and return new recovery codes, which the user sees once.

    Return None if the code is wrong, or if the user already has an app.
    """
    period = _find_period(key, "".join(code.split()))
    if period is None:
        return None
    # The owner may have changed the password to lock out another person, who started this setup.
    conditions = (
        col(User.id) == user.id,
        col(User.hashed_password) == user.hashed_password,
        col(User.totp_secret) == "",
    )
    values = {"totp_secret": _seal_key(settings, user, key), "totp_step": period}
    user_id = await session.scalar(update(User).where(*conditions).values(values).returning(col(User.id)))
    return await renew_recovery_codes(session, user) if user_id else None


async def disable(session: AsyncSession, user: User) -> None:
    """Turn off the app. Recovery codes stay if the user has a passkey."""
    await session.execute(update(User).where(col(User.id) == user.id).values(totp_secret="", totp_step=0))
    if not await has_passkey(session, user):
        await delete_recovery_codes(session, user)


def _find_period(key: str, code: str) -> int | None:
    """Return the number of the 30-second period in which the code is valid; None if the code is wrong."""
    if not code.isascii():
        return None
    try:
        return TOTP(key).verify_and_get_timecode(code, for_time=utc_now(), valid_window=CLOCK_DRIFT_PERIODS)
    except OTPVerificationError:
        return None


def _pending_setup(settings: Settings, user: User, key: str) -> PendingSetup:
    uri = TOTP(key).provisioning_uri(name=user.email, issuer_name=settings.site_name)
    return PendingSetup(key, seal(settings, f"two-factor to be:{user.id}", key), uri)


def _seal_key(settings: Settings, user: User, key: str) -> str:
    """Encrypt the key for this user. In the row of another user it cannot be decrypted."""
    return seal(settings, f"two-factor:{user.id}", key)


async def _use_period(session: AsyncSession, settings: Settings, user: User, key: str, period: int) -> bool:
    """Mark a period as used, and return False if it was used before.

    The key is encrypted again, in case SECRET_KEY has changed.
    """
    conditions = (col(User.id) == user.id, col(User.totp_secret) == user.totp_secret, col(User.totp_step) < period)
    statement = update(User).where(*conditions).values(totp_step=period, totp_secret=_seal_key(settings, user, key))
    return await session.scalar(statement.returning(col(User.id))) is not None
