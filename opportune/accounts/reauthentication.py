"""The password of who is signed in is asked once more before what not even a browser left open may do."""

from opportune.accounts.context import AccountContext
from opportune.accounts.models import User
from opportune.web.rate_limit import RateLimit

PASSWORDS_PER_USER = RateLimit("accounts.passwords_per_user", 10)


async def reauthenticate(context: AccountContext, user: User, password: str) -> bool:
    """Whether this is the user's password. Only wrong ones count.

    Raises:
        TooManyRequests: there were so many that this one was not even looked at.
    """
    guess = PASSWORDS_PER_USER.by(user.id)
    await context.limiter.hit(guess)
    if not await context.manager.is_password_of(user, password):
        return False
    await context.limiter.refund(context.session, guess)
    await context.manager.release()
    return True
