"""Confirmation of the user's identity before dangerous changes, in case another person uses the open browser."""

from datetime import timedelta

from opportune.accounts.emails import send_account_email
from opportune.accounts.models import Session, User
from opportune.accounts.passwords import hashing
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.signed_links import is_code, make_code
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import wrong_password
from opportune.db.clock import utc_now
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l
from opportune.web.client import describe_user_agent
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

PASSWORDS_PER_USER = RateLimit("accounts.passwords_per_user", 10)
CODES_PER_USER = RateLimit("accounts.codes_per_user", 10)

CONFIRMED_FOR = timedelta(minutes=15)
"""Lifetime of a confirmation in the same browser."""
SIGNED_IN_FOR = timedelta(minutes=10)
"""Users without a password count as confirmed for this time after they sign in."""

PASSWORD_REQUIRED = _l("Please enter your current password.")
SIGN_IN_AGAIN = _l("Your sign-in was too long ago. Sign out, sign in again, and repeat this within ten minutes.")
INVALID_CODE = _l("This code is wrong, or has been used.")

EMAILED_CODE_SECONDS = 600
PERIOD_SECONDS = 60
"""Each period has another code, which is accepted until `EMAILED_CODE_SECONDS` after the period began."""
EMAILED_CODES_PER_USER = RateLimit("accounts.confirmation_codes_per_user", 10, 24 * HOUR_SECONDS)
WRONG_EMAILED_CODE = _l("This is not the code of an e-mail that you requested here within the last ten minutes.")


class WrongCredential(FieldErrors):
    """A wrong password or code, with its field and a message."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__({field: message})


def is_confirmed(session: Session | None, user: User) -> bool:
    """Return whether the user has recently confirmed their identity in this session; False for programs (None)."""
    if session is None or session.is_impersonation:
        return False
    # After the clock was set back, the times are in the future.
    if session.confirmed_at and abs(utc_now() - session.confirmed_at) < CONFIRMED_FOR:
        return True
    return not user.has_password and abs(utc_now() - session.created_at) < SIGNED_IN_FOR


async def check_password(context: AccountContext, user: User, password: str, field: str = "current_password") -> None:
    """Check the user's password. Only wrong passwords are counted.

    Raises:
        WrongCredential: The password is wrong or missing, or the user has none.
        TooManyRequests: There were too many wrong attempts.
    """
    if not password:
        raise WrongCredential(field, PASSWORD_REQUIRED if user.has_password else SIGN_IN_AGAIN)
    attempt = PASSWORDS_PER_USER.by(user.id)
    await context.limiter.hit(attempt)
    if not (await hashing.verify_password(password, user.hashed_password)).is_correct:
        context.log_refused_sign_in("confirmation", user)
        raise WrongCredential(field, wrong_password(user))
    await context.limiter.refund(context.session, attempt)
    await context.session.commit()


async def check_code(context: AccountContext, user: User, code: str) -> None:
    """Check a code of the app or a recovery code, and mark it as used. Raises as `check_password`."""
    attempt = CODES_PER_USER.by(user.id)
    await context.limiter.hit(attempt)
    if not await second_factor.verify_code(context.session, context.settings, user, code):
        context.log_refused_sign_in("confirmation", user)
        raise WrongCredential("code", INVALID_CODE)
    await context.limiter.refund(context.session, attempt)


async def send_confirmation_email(context: AccountContext, user: User, browser_session: Session) -> None:
    """Send a code that is valid only in this browser session.

    Raises:
        TooManyRequests: Too many e-mails were requested.
    """
    await context.count_email(user.email)
    code = make_code(context.settings, user, _emailed_code_purpose(browser_session))
    device = describe_user_agent(context.client.user_agent)
    details = {"device": device, "address": context.client.address, "minutes": EMAILED_CODE_SECONDS // 60}
    send_account_email(context.session, context.settings, user, "confirm", code=code, **details)


async def check_emailed_code(context: AccountContext, user: User, browser_session: Session, code: str) -> None:
    """Check the code of a confirmation e-mail.

    Raises:
        WrongCredential: The code is wrong, expired, or for another session.
        TooManyRequests: The user has sent too many wrong codes within a day.
    """
    attempt = EMAILED_CODES_PER_USER.by(user.id)
    await context.limiter.hit(attempt)
    ages = range(0, EMAILED_CODE_SECONDS, PERIOD_SECONDS)
    if not any(is_code(context.settings, user, _emailed_code_purpose(browser_session, age), code) for age in ages):
        context.log_refused_sign_in("confirmation", user)
        raise WrongCredential("code", WRONG_EMAILED_CODE)
    await context.limiter.refund(context.session, attempt)


def _emailed_code_purpose(browser_session: Session, age_seconds: int = 0) -> str:
    period = (int(utc_now().timestamp()) - age_seconds) // PERIOD_SECONDS
    return f"confirm {browser_session.token_hash} {period}"
