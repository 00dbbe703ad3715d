"""What people do with their own second factor: they prove who they are, and are told of it by mail."""

from typing import Annotated

from fastapi import Depends, Request

from opportune.accounts import bearer, letters, two_factor
from opportune.accounts.attempts import Rule, Try, count, take_back
from opportune.accounts.current import CurrentUser
from opportune.accounts.dependencies import Manager
from opportune.accounts.manager import NOT_CURRENT, UserManager
from opportune.accounts.models import Session, User
from opportune.accounts.own.confirming import is_current_password
from opportune.accounts.own.devices import Devices
from opportune.accounts.two_factor import Beginning
from opportune.settings import Settings

GUESSES = Rule("second factor: code", most=10)

WRONG_CODE = "This is not the code that your app shows now."
USED_UP = "This is neither an unused code of your app nor one of your recovery codes."
TOO_LATE = "The key was not confirmed in time. Please begin again."
IS_ON = "You have a second factor already."
IS_OFF = "You have no second factor."


class Unproven(Exception):  # noqa: N818 - it is an answer, not a fault
    """What was sent does not do: the field that is wrong, and why."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field, self.words = field, words


class Unfit(Exception):  # noqa: N818 - as above
    """There is one already, or none, or no time is left: not as things are."""


class OwnFactor:
    def __init__(self, request: Request, manager: UserManager, user: User) -> None:
        self._request, self._manager, self._user = request, manager, user
        self._session = manager.session
        self._settings: Settings = request.app.state.settings

    async def begin(self, password: str) -> Beginning:
        """A key for the app, which counts as soon as a code of it has come.

        Raises:
            Unproven: the password is wrong.
            TooMany: it was so too often.
            Unfit: there is a factor already.
        """
        if self._user.has_two_factor:
            raise Unfit(IS_ON)
        await self._prove(password)
        return two_factor.begin(self._settings, self._user)

    def begun(self, sealed: str) -> Beginning:
        """What was begun.

        Raises:
            Unfit: that is too long ago, or there is a factor by now.
        """
        beginning = None if self._user.has_two_factor else two_factor.go_on(self._settings, self._user, sealed)
        if beginning is None:
            raise Unfit(IS_ON if self._user.has_two_factor else TOO_LATE)
        return beginning

    async def confirm(self, sealed: str, code: str) -> list[str]:
        """Turn it on and give the recovery codes, which are shown this once.

        All other sessions and what programs got by signing in end: they began with less. Tokens that were named stay.

        Raises:
            Unproven: the code is wrong.
            Unfit: as `begun`.
        """
        key = self.begun(sealed).key
        codes = await two_factor.turn_on(self._session, self._settings, self._user, key, code)
        if codes is None:
            raise Unproven("code", WRONG_CODE)
        here: Session | None = self._request.state.session
        await Devices(self._session, self._user.id).end_all(Session, keep=here.id if here else None)
        await bearer.end_sign_ins(self._session, self._user, keep=None if here else bearer.token_of(self._request))
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
        return await two_factor.renew_codes(self._session, self._user)

    async def turn_off(self, password: str, code: str) -> None:
        """Raises as `renew_codes`."""
        await self._prove_both(password, code)
        await two_factor.turn_off(self._session, self._user)
        self._tell(is_on=False)

    async def _prove(self, password: str) -> None:
        if not await is_current_password(self._request, self._manager, self._user, password):
            raise Unproven("password", NOT_CURRENT)

    async def _prove_both(self, password: str, code: str) -> None:
        """Whoever took over a browser and saw the password typed may not shut the owner out."""
        if not self._user.has_two_factor:
            raise Unfit(IS_OFF)
        await self._prove(password)
        guess = Try(GUESSES, str(self._user.id))
        await count(self._request, guess)
        if not await two_factor.verify(self._session, self._settings, self._user, code):
            raise Unproven("code", USED_UP)
        await take_back(self._session, self._settings, guess)

    def _tell(self, *, is_on: bool) -> None:
        letters.tell(self._session, self._settings, self._user.email, "two_factor", is_on=is_on)


async def own_factor(request: Request, user: CurrentUser, manager: Manager) -> OwnFactor:
    return OwnFactor(request, manager, user)


Factor = Annotated[OwnFactor, Depends(own_factor)]
