"""What people do with their own second factor: they prove who they are, and are told of it by mail."""

from typing import Annotated

from fastapi import Depends, Request

from opportune.accounts import emails
from opportune.accounts.current import CurrentUser
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.manager import WRONG_CURRENT_PASSWORD, UserManager
from opportune.accounts.models import Session, User
from opportune.accounts.rate_limits import Hit, RateLimit, hit, refund
from opportune.accounts.reauthentication import reauthenticate
from opportune.accounts.sessions.devices import Devices
from opportune.accounts.tokens import bearer
from opportune.accounts.two_factor import totp
from opportune.accounts.two_factor.totp import PendingSetup
from opportune.settings import Settings

CODES_PER_USER = RateLimit("second factor: code", most=10)

WRONG_CODE = "This is not the code that your app shows now."
INVALID_CODE = "This is neither an unused code of your app nor one of your recovery codes."
SETUP_EXPIRED = "The key was not confirmed in time. Please begin again."
ALREADY_ENABLED = "You have a second factor already."
NOT_ENABLED = "You have no second factor."


class WrongCredential(Exception):  # noqa: N818 - it is an answer, not a fault
    """What was sent does not do: the field that is wrong, and why."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field, self.words = field, words


class InvalidState(Exception):  # noqa: N818 - as above
    """There is one already, or none, or no time is left: not as things are."""


class TwoFactorSetup:
    def __init__(self, request: Request, manager: UserManager, user: User) -> None:
        self._request, self._manager, self._user = request, manager, user
        self._session = manager.session
        self._settings: Settings = request.app.state.settings

    async def begin(self, password: str) -> PendingSetup:
        """A key for the app, which counts as soon as a code of it has come.

        Raises:
            Unproven: the password is wrong.
            TooMany: it was so too often.
            Unfit: there is a factor already.
        """
        if self._user.has_two_factor:
            raise InvalidState(ALREADY_ENABLED)
        await self._prove(password)
        return totp.start_setup(self._settings, self._user)

    def begun(self, sealed: str) -> PendingSetup:
        """What was begun.

        Raises:
            Unfit: that is too long ago, or there is a factor by now.
        """
        beginning = None if self._user.has_two_factor else totp.resume_setup(self._settings, self._user, sealed)
        if beginning is None:
            raise InvalidState(ALREADY_ENABLED if self._user.has_two_factor else SETUP_EXPIRED)
        return beginning

    async def confirm(self, sealed: str, code: str) -> list[str]:
        """Turn it on and give the recovery codes, which are shown this once.

        All other sessions and what programs got by signing in end: they began with less. Tokens that were named stay.

        Raises:
            Unproven: the code is wrong.
            Unfit: as `begun`.
        """
        key = self.begun(sealed).key
        codes = await totp.enable(self._session, self._settings, self._user, key, code)
        if codes is None:
            raise WrongCredential("code", WRONG_CODE)
        here: Session | None = self._request.state.session
        await Devices(self._session, self._user.id).end_all(Session, keep=here.id if here else None)
        await bearer.delete_access_tokens(
            self._session, self._user, keep=None if here else bearer.read_bearer_token(self._request)
        )
        self._tell(is_on=True)
        return codes

    async def renew_codes(self, password: str, code: str) -> list[str]:
        """New recovery codes in place of the old ones.

        Raises:
            Unproven: password or code is wrong.
            TooMany: they were so too often.
            Unfit: there is no factor.
        """
        await self._prove_both(password, code)
        return await totp.renew_recovery_codes(self._session, self._user)

    async def turn_off(self, password: str, code: str) -> None:
        """Raises as `renew_codes`."""
        await self._prove_both(password, code)
        await totp.disable(self._session, self._user)
        self._tell(is_on=False)

    async def _prove(self, password: str) -> None:
        if not await reauthenticate(self._request, self._manager, self._user, password):
            raise WrongCredential("password", WRONG_CURRENT_PASSWORD)

    async def _prove_both(self, password: str, code: str) -> None:
        """Whoever took over a browser and saw the password typed may not shut the owner out."""
        if not self._user.has_two_factor:
            raise InvalidState(NOT_ENABLED)
        await self._prove(password)
        guess = Hit(CODES_PER_USER, str(self._user.id))
        await hit(self._request, guess)
        if not await totp.verify_code(self._session, self._settings, self._user, code):
            raise WrongCredential("code", INVALID_CODE)
        await refund(self._session, self._settings, guess)

    def _tell(self, *, is_on: bool) -> None:
        emails.send_account_email(self._session, self._settings, self._user.email, "two_factor", is_on=is_on)


async def get_two_factor_setup(request: Request, user: CurrentUser, manager: UserManagerDependency) -> TwoFactorSetup:
    return TwoFactorSetup(request, manager, user)


TwoFactorDependency = Annotated[TwoFactorSetup, Depends(get_two_factor_setup)]
