"""From a password, and a code where one is needed, to somebody who may sign in: the same for pages and programs."""

from starlette.requests import Request

from opportune.accounts import attempts, browsers, two_factor
from opportune.accounts.attempts import Rule, Try
from opportune.accounts.manager import UserManager
from opportune.accounts.models import User
from opportune.web.rate_limit import address_of

FOR_ACCOUNT = Rule("passwords for an account", 10)
FROM_ADDRESS = Rule("passwords from an address", 20)
IN_BROWSER = Rule("passwords in a known browser", 10)
CODES = Rule("codes for an account", 5)
"""After the right password: who gets so far is nobody's victim."""


async def check_password(request: Request, manager: UserManager, email: str, password: str) -> User | None:
    """The active user with this e-mail and password, from whom a code may still be wanted.

    Raises:
        TooMany: there were too many wrong ones.
        Busy: too many others are signing in.
    """
    email = email.strip().lower()
    tries = _tries(request, email)
    await attempts.count(request, *tries)
    user = await manager.authenticate(email, password)
    if user:
        await attempts.take_back(manager.session, request.app.state.settings, *tries)
    return user


async def check_code(request: Request, manager: UserManager, user: User, code: str) -> bool:
    """Whether it is a code of this user, whose password was right before; from now on it is none.

    Raises:
        TooMany: there were too many wrong ones.
    """
    tried = Try(CODES, user.email)
    await manager.session.commit()  # others may write now
    await attempts.count(request, tried)
    settings = request.app.state.settings
    if not await manager.is_unchanged(user) or not await two_factor.verify(manager.session, settings, user, code):
        return False
    await attempts.take_back(manager.session, settings, tried)
    return True


def _tries(request: Request, email: str) -> tuple[Try, ...]:
    if number := browsers.known(request, email):
        return (Try(IN_BROWSER, number),)
    return Try(FROM_ADDRESS, address_of(request)), Try(FOR_ACCOUNT, email)
