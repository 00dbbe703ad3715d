"""The password of who is signed in is asked once more before what not even a browser left open may do."""

from fastapi import Request

from opportune.accounts.manager import UserManager
from opportune.accounts.models import User
from opportune.accounts.rate_limits import Hit, RateLimit, hit, refund

PASSWORDS_PER_USER = RateLimit("current password", most=10)


async def reauthenticate(request: Request, manager: UserManager, user: User, password: str) -> bool:
    """Whether this is it. Only wrong ones count.

    Raises:
        TooMany: there were so many that this one was not even looked at.
    """
    guess = Hit(PASSWORDS_PER_USER, str(user.id))
    await hit(request, guess)
    if not await manager.is_password_of(user, password):
        return False
    await refund(manager.session, request.app.state.settings, guess)
    await manager.session.commit()  # others may write while the next password is hashed
    return True
