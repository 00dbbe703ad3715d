"""Authenticator app of a user, which computes codes like the app on a phone."""

import time

import pyotp

from opportune.accounts.models import User
from opportune.accounts.sign_in_methods import second_factor
from opportune.config.settings import Settings
from opportune.db.database import Database


class AuthenticatorApp:
    """Authenticator app and recovery codes of a user. The current code is already used."""

    def __init__(self, key: str, recovery_codes: list[str]) -> None:
        self.totp, self.recovery_codes = pyotp.TOTP(key), recovery_codes

    @property
    def code(self) -> str:
        """The next code."""
        return self.code_in(1)

    def code_in(self, periods: int) -> str:
        return self.totp.at(time.time() + periods * self.totp.interval)


async def add_authenticator_app(database: Database, settings: Settings, user: User) -> AuthenticatorApp:
    async with database.writer() as session:
        session.add(user)
        key = second_factor.start_setup(settings, user).key
        codes = await second_factor.enable(session, settings, user, key, pyotp.TOTP(key).now())
    assert codes
    return AuthenticatorApp(key, codes)
