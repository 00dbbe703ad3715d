"""From a password, and a code where one is needed, to somebody who may sign in: the same for pages and programs."""

from starlette.requests import Request

from opportune.accounts import rate_limits
from opportune.accounts.manager import UserManager
from opportune.accounts.models import User
from opportune.accounts.rate_limits import Hit, RateLimit
from opportune.accounts.sign_in import trusted_devices
from opportune.accounts.two_factor import totp
from opportune.web.rate_limit import client_address

PASSWORDS_PER_ACCOUNT = RateLimit("passwords for an account", 10)
PASSWORDS_PER_ADDRESS = RateLimit("passwords from an address", 20)
PASSWORDS_PER_DEVICE = RateLimit("passwords in a known browser", 10)
CODES_PER_ACCOUNT = RateLimit("codes for an account", 5)
"""After the right password: who gets so far is nobody's victim."""


async def check_password(request: Request, manager: UserManager, email: str, password: str) -> User | None:
    """The active user with this e-mail and password, from whom a code may still be wanted.

    Raises:
        TooMany: there were too many wrong ones.
        Busy: too many others are signing in.
    """
    email = email.strip().lower()
    tries = _tries(request, email)
    await rate_limits.hit(request, *tries)
    user = await manager.authenticate(email, password)
    if user:
        await rate_limits.refund(manager.session, request.app.state.settings, *tries)
    return user


async def check_code(request: Request, manager: UserManager, user: User, code: str) -> bool:
    """Whether it is a code of this user, whose password was right before; from now on it is none.

    Raises:
        TooMany: there were too many wrong ones.
    """
    tried = Hit(CODES_PER_ACCOUNT, user.email)
    await manager.session.commit()  # others may write now
    await rate_limits.hit(request, tried)
    settings = request.app.state.settings
    if not await manager.is_unchanged(user) or not await totp.verify_code(manager.session, settings, user, code):
        return False
    await rate_limits.refund(manager.session, settings, tried)
    return True


def _tries(request: Request, email: str) -> tuple[Hit, ...]:
    if number := trusted_devices.trusted_device(request, email):
        return (Hit(PASSWORDS_PER_DEVICE, number),)
    return Hit(PASSWORDS_PER_ADDRESS, client_address(request)), Hit(PASSWORDS_PER_ACCOUNT, email)
