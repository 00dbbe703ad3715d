"""The second factor: codes of an authenticator app, each of which counts once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from pyotp import TOTP

CLOCK_DRIFT_PERIODS = 1
"""Periods of half a minute by which the clock of a phone may be wrong."""
SETUP_TIMEOUT_SECONDS = 600
"""In which the first code has to come."""


@dataclass(frozen=True)
class PendingSetup:
    """A key that counts for nothing until a code of it has come."""

    key: str
    sealed: str
    """The key for this user alone, to come back with the first code."""
    uri: str
    """The key as apps read it from a picture."""

    @property
    def spaced(self) -> str:
        """The key to be typed."""
        return in_groups(self.key, 4, " ")

    @property
    def picture(self) -> str:
        """The address of a picture that holds all of itself."""
        import segno  # noqa: PLC0415 - few requests draw

        return segno.make(self.uri, micro=False).svg_data_uri(scale=5, light="#fff", svgclass=None, lineclass=None)


async def verify_code(session: AsyncSession, settings: Settings, user: User, code: str) -> bool:
    """Whether this is a code of the user's app or a recovery code; from now on it is none."""
    code = "".join(code.split()).replace("-", "").lower()
    if len(code) == RECOVERY_CODE_LENGTH:
        return await use_recovery_code(session, user, code)
    key = _open(settings, user)
    step = _step(key, code) if key else None
    return key is not None and step is not None and await _use_step(session, settings, user, key, step)


def start_setup(settings: Settings, user: User) -> PendingSetup:
    """Make a new key for this user, which is stored nowhere yet."""
    return _pending_setup(settings, user, _new_key())


def resume_setup(settings: Settings, user: User, sealed: str) -> PendingSetup | None:
    """The setup that was started for this user, or None if that is long ago."""
    key = unseal(settings, f"two-factor to be:{user.id}", sealed, SETUP_TIMEOUT_SECONDS)
    return _pending_setup(settings, user, key) if key else None


async def enable(session: AsyncSession, settings: Settings, user: User, key: str, code: str) -> list[str] | None:
    """Turn it on and give the recovery codes, to be shown once; None if it cannot be.

    The code is none of the key, or the user has a factor already.
    """
    step = _step(key, "".join(code.split()))
    if step is None:
        return None
    # In the meantime the owner may have shut out, by a new password, whoever began.
    same = (col(User.id) == user.id, col(User.hashed_password) == user.hashed_password, col(User.totp_secret) == "")
    done = update(User).where(*same).values(totp_secret=_seal(settings, user, key), totp_step=step)
    return await renew_recovery_codes(session, user) if await session.scalar(done.returning(col(User.id))) else None


async def disable(session: AsyncSession, user: User) -> None:
    """Leave the user with the password alone, or with passkeys beside it."""
    await session.execute(update(User).where(col(User.id) == user.id).values(totp_secret="", totp_step=0))
    if not await has_passkey(session, user):
        await delete_recovery_codes(session, user)


def _new_key() -> str:
    from pyotp import random_base32  # noqa: PLC0415 - most processes see no second factor

    return random_base32()


def _totp(key: str) -> "TOTP":
    from pyotp import TOTP  # noqa: PLC0415 - as above

    return TOTP(key)


def _step(key: str, code: str) -> int | None:
    """The period that a code is of."""
    from pyotp.exceptions import OTPVerificationError  # noqa: PLC0415 - as above

    if not code.isascii():
        return None
    try:
        return _totp(key).verify_and_get_timecode(code, valid_window=CLOCK_DRIFT_PERIODS)
    except OTPVerificationError:
        return None


def _pending_setup(settings: Settings, user: User, key: str) -> PendingSetup:
    uri = _totp(key).provisioning_uri(name=user.email, issuer_name=settings.site_name)
    return PendingSetup(key, seal(settings, f"two-factor to be:{user.id}", key), uri)


def _seal(settings: Settings, user: User, key: str) -> str:
    """For this user: in another's row it would open nothing."""
    return seal(settings, f"two-factor:{user.id}", key)


def _open(settings: Settings, user: User) -> str | None:
    return unseal(settings, f"two-factor:{user.id}", user.totp_secret) if user.has_two_factor else None


async def _use_step(session: AsyncSession, settings: Settings, user: User, key: str, step: int) -> bool:
    """Of two requests at once one can. The key is sealed again: the secret key that sealed it may be an old one."""
    unused = (col(User.id) == user.id, col(User.totp_secret) == user.totp_secret, col(User.totp_step) < step)
    change = update(User).where(*unused).values(totp_step=step, totp_secret=_seal(settings, user, key))
    return await session.scalar(change.returning(col(User.id))) is not None
