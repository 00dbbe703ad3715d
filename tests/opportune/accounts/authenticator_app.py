"""An authenticator app for users of tests."""

import time

import pyotp

from opportune.accounts.models import User
from opportune.accounts.sign_in_methods import totp
from opportune.config.settings import Settings
from opportune.db.database import Database


class AuthenticatorApp:
    """The app of a user, whose current code is used, and the recovery codes."""

    def __init__(self, key: str, recovery_codes: list[str]) -> None:
        self.app, self.recovery_codes = pyotp.TOTP(key), recovery_codes

    @property
    def code(self) -> str:
        """An unused code."""
        return self.app.at(time.time() + 30)


async def add_authenticator_app(database: Database, settings: Settings, user: User) -> AuthenticatorApp:
    async with database.writer() as session:
        session.add(user)
        key = totp.start_setup(settings, user).key
        codes = await totp.enable(session, settings, user, key, pyotp.TOTP(key).now())
    assert codes
    return AuthenticatorApp(key, codes)
