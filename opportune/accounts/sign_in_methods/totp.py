"""Codes of an authenticator app (TOTP). Each code is valid once."""

from dataclasses import dataclass

from pyotp import TOTP, random_base32
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.sign_in_methods.recovery_codes import (
    RECOVERY_CODE_LENGTH,
    delete_recovery_codes,
    in_groups,
    renew_recovery_codes,
    use_recovery_code,
)
from opportune.accounts.sign_in_methods.second_factor import has_passkey
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal

CLOCK_DRIFT_PERIODS = 1
"""Number of 30-second periods by which the clock of a phone may differ."""
SETUP_TIMEOUT_SECONDS = 600
"""Time limit for the first code."""


@dataclass(frozen=True)
class PendingSetup:
    """A new key, not in use before its first code is entered."""

    key: str
    sealed: str
    """The key encrypted for this user, sent back with the first code."""
    uri: str
    """The key in the format of QR codes."""

    @property
    def spaced(self) -> str:
        """The key in groups, for typing."""
        return in_groups(self.key, 4, " ")

    @property
    def picture(self) -> str:
        """The QR code as a data URI."""
        import segno

        return segno.make(self.uri, micro=False).svg_data_uri(scale=5, light="#fff", svgclass=None, lineclass=None)


async def verify_code(session: AsyncSession, settings: Settings, user: User, code: str) -> bool:
    """Return whether this is an unused code of the app or a recovery code, and mark it as used."""
    code = "".join(code.split()).replace("-", "").lower()
    if len(code) == RECOVERY_CODE_LENGTH:
        return await use_recovery_code(session, user, code)
    key = _open(settings, user)
    step = _step(key, code) if key else None
    return key is not None and step is not None and await _use_step(session, settings, user, key, step)


def start_setup(settings: Settings, user: User) -> PendingSetup:
    """Create a key for this user without storing it."""
    return _pending_setup(settings, user, random_base32())


def resume_setup(settings: Settings, user: User, sealed: str) -> PendingSetup | None:
    """Return the setup that was started for this user; None if it has expired."""
    key = unseal(settings, f"two-factor to be:{user.id}", sealed, SETUP_TIMEOUT_SECONDS)
    return _pending_setup(settings, user, key) if key else None


async def enable(session: AsyncSession, settings: Settings, user: User, key: str, code: str) -> list[str] | None:
    """Turn on the app, and return recovery codes to show once.

    Return None if the code is wrong, or if the user already has an app.
    """
    step = _step(key, "".join(code.split()))
    if step is None:
        return None
    # In the meantime the owner may have changed the password, to exclude the person who started this.
    same = (col(User.id) == user.id, col(User.hashed_password) == user.hashed_password, col(User.totp_secret) == "")
    done = update(User).where(*same).values(totp_secret=_seal(settings, user, key), totp_step=step)
    return await renew_recovery_codes(session, user) if await session.scalar(done.returning(col(User.id))) else None


async def disable(session: AsyncSession, user: User) -> None:
    """Turn off the app. Recovery codes stay if the user has a passkey."""
    await session.execute(update(User).where(col(User.id) == user.id).values(totp_secret="", totp_step=0))
    if not await has_passkey(session, user):
        await delete_recovery_codes(session, user)


def _step(key: str, code: str) -> int | None:
    """Return the 30-second period of a code; None if the code is wrong."""
    if not code.isascii():
        return None
    try:
        return TOTP(key).verify_and_get_timecode(code, valid_window=CLOCK_DRIFT_PERIODS)
    except OTPVerificationError:
        return None


def _pending_setup(settings: Settings, user: User, key: str) -> PendingSetup:
    uri = TOTP(key).provisioning_uri(name=user.email, issuer_name=settings.site_name)
    return PendingSetup(key, seal(settings, f"two-factor to be:{user.id}", key), uri)


def _seal(settings: Settings, user: User, key: str) -> str:
    """Encrypt the key for this user. It cannot be decrypted in the row of another user."""
    return seal(settings, f"two-factor:{user.id}", key)


def _open(settings: Settings, user: User) -> str | None:
    return unseal(settings, f"two-factor:{user.id}", user.totp_secret) if user.has_two_factor else None


async def _use_step(session: AsyncSession, settings: Settings, user: User, key: str, step: int) -> bool:
    """Mark a period as used; only one of two requests succeeds. Encrypt the key again with the newest secret key."""
    unused = (col(User.id) == user.id, col(User.totp_secret) == user.totp_secret, col(User.totp_step) < step)
    change = update(User).where(*unused).values(totp_step=step, totp_secret=_seal(settings, user, key))
    return await session.scalar(change.returning(col(User.id))) is not None
