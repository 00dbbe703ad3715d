"""Changes of a user's second factor. Those of the user need a proof of identity. The user is notified by e-mail."""

from dataclasses import dataclass

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.flows.confirmation import WrongCredential, check_code, check_password, is_confirmed
from opportune.accounts.models import Passkey, User
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.sign_in_methods.available import count_sign_in_methods
from opportune.accounts.tokens.service import end_weaker_sign_ins
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.errors import Refused
from opportune.i18n import gettext_lazy as _l

WRONG_CODE = _l("This is not the current code of your app.")
SETUP_EXPIRED = _l("The key was not confirmed in time. Please start again.")
ALREADY_ENABLED = _l("You already have a second factor.")
NOT_ENABLED = _l("You have no second factor.")


class InvalidState(Refused):
    """The second factor exists already, is missing, or its setup has expired."""


@dataclass(frozen=True)
class TwoFactorSetup:
    context: AccountContext
    user: User

    @property
    def is_confirmed(self) -> bool:
        """Whether the user has just confirmed their identity in this session. Password and code may then be empty."""
        return is_confirmed(self.context.browser_session, self.user)

    async def start(self, password: str) -> second_factor.PendingSetup:
        """Return a new key for the app. It is stored by `enable` with its first code.

        Raises:
            WrongCredential: The password is wrong.
            TooManyRequests: There were too many wrong attempts.
            InvalidState: The user already has an app.
        """
        if self.user.has_two_factor:
            raise InvalidState(ALREADY_ENABLED)
        if password or not self.is_confirmed:
            await check_password(self.context, self.user, password, "password")
        return second_factor.start_setup(self.context.settings, self.user)

    def resume(self, sealed: str) -> second_factor.PendingSetup:
        """Return the setup of a sealed key.

        Raises:
            InvalidState: The setup has expired, or the user already has an app.
        """
        if self.user.has_two_factor:
            raise InvalidState(ALREADY_ENABLED)
        setup = second_factor.resume_setup(self.context.settings, self.user, sealed)
        if setup is None:
            raise InvalidState(SETUP_EXPIRED)
        return setup

    async def enable(self, sealed: str, code: str) -> list[str]:
        """Turn on the app, and return the recovery codes, which the user sees once.

        Other sessions and tokens of sign-ins end, because they started without a second factor.

        Raises:
            WrongCredential: The code is wrong.
            InvalidState: The setup has expired, or the user already has an app.
        """
        key = self.resume(sealed).key
        codes = await second_factor.enable(self.context.session, self.context.settings, self.user, key, code)
        if codes is None:
            raise WrongCredential("code", WRONG_CODE)
        await end_weaker_sign_ins(self.context, self.user)
        record_event(self.context, self.user, "two_factor_on")
        return codes

    async def renew_recovery_codes(self, password: str, code: str) -> list[str]:
        """Replace the recovery codes.

        Raises:
            WrongCredential: Password or code is wrong.
            TooManyRequests: There were too many wrong attempts.
            InvalidState: The user has no second factor.
        """
        await self._check_identity(password, code)
        record_event(self.context, self.user, "recovery_codes_renewed")
        return await second_factor.renew_recovery_codes(self.context.session, self.user)

    async def disable(self, password: str, code: str) -> None:
        """Turn off the app. Raises as `renew_recovery_codes`."""
        await self._check_identity(password, code)
        await second_factor.disable(self.context.session, self.user)
        record_event(self.context, self.user, "two_factor_off")

    async def _check_identity(self, password: str, code: str) -> None:
        """Check password and code, so that a thief of the browser or the password cannot lock the user out."""
        has_factor = await second_factor.has_second_factor(self.context.session, self.user)
        await self.context.session.commit()
        if not has_factor:
            raise InvalidState(NOT_ENABLED)
        if password or code or not self.is_confirmed:
            await check_password(self.context, self.user, password, "password")
            await check_code(self.context, self.user, code)


async def reset_two_factor(session: AsyncSession, user: User) -> None:
    """Remove the second factors. Passkeys stay if they are the only sign-in method."""
    await second_factor.disable(session, user)
    if (await count_sign_in_methods(session, user_manager(session).settings, user)).without_passkeys:
        await session.execute(delete(Passkey).where(col(Passkey.user_id) == user.id))
        await second_factor.delete_recovery_codes(session, user)
