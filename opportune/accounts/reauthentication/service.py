"""Confirmation of the user's identity before dangerous changes, in case another person uses the open browser."""

from datetime import timedelta

from opportune.accounts.models import Session, User
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import wrong_password
from opportune.db.models.model import utc_now
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l
from opportune.web.rate_limit import RateLimit

PASSWORDS_PER_USER = RateLimit("accounts.passwords_per_user", 10)
CODES_PER_USER = RateLimit("accounts.codes_per_user", 10)

CONFIRMED_FOR = timedelta(minutes=15)
"""Lifetime of a confirmation in the same browser."""
SIGNED_IN_FOR = timedelta(minutes=10)
"""Users without a password count as confirmed for this time after they sign in."""

PASSWORD_REQUIRED = _l("Please type your current password.")
SIGN_IN_AGAIN = _l("Your sign-in was too long ago. Sign out, sign in again, and repeat this within ten minutes.")
INVALID_CODE = _l("This code is wrong, or has been used.")


class WrongCredential(FieldErrors):
    """A wrong password or code, with its field and a message."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__({field: message})


def is_confirmed(session: Session | None, user: User) -> bool:
    """Return whether the user has recently confirmed their identity in this session; False for programs (None)."""
    if session is None or session.impersonator_session_id is not None:
        return False
    # After the clock was set back, the times are in the future.
    if session.confirmed_at and abs(utc_now() - session.confirmed_at) < CONFIRMED_FOR:
        return True
    return not user.has_password and abs(utc_now() - session.created_at) < SIGNED_IN_FOR


async def check_password(context: AccountContext, user: User, password: str, field: str = "current_password") -> None:
    """Check the user's password. Only wrong passwords are counted.

    Raises:
        WrongCredential: the password is wrong or missing, or the user has none.
        TooManyRequests: there were too many wrong attempts.
    """
    if not password:
        raise WrongCredential(field, PASSWORD_REQUIRED if user.has_password else SIGN_IN_AGAIN)
    attempt = PASSWORDS_PER_USER.by(user.id)
    await context.limiter.hit(attempt)
    if not await context.manager.is_password_of(user, password):
        context.log_refused_sign_in("confirmation", user)
        raise WrongCredential(field, wrong_password(user))
    await context.limiter.refund(context.session, attempt)
    await context.manager.release()


async def check_code(context: AccountContext, user: User, code: str) -> None:
    """Check a code of the app or a recovery code, and mark it as used. Raises as `check_password`."""
    attempt = CODES_PER_USER.by(user.id)
    await context.limiter.hit(attempt)
    if not await second_factor.verify_code(context.session, context.settings, user, code):
        context.log_refused_sign_in("confirmation", user)
        raise WrongCredential("code", INVALID_CODE)
    await context.limiter.refund(context.session, attempt)
