"""Confirmation by a code in an e-mail, for users with neither password nor passkey.

The code is not stored but derived from the session's token. A confirmation changes the token, so a code works once.
"""

from opportune.accounts.emails.delivery import send_account_email
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication.service import WrongCredential
from opportune.accounts.sign_in_methods.email_codes import is_code, make_code
from opportune.accounts.users.context import AccountContext
from opportune.db.models.model import utc_now
from opportune.i18n import gettext_lazy as _l
from opportune.web.client import describe_user_agent
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

LIFETIME_SECONDS = 600
PERIOD_SECONDS = 60
"""Each period has another code, which is accepted until `LIFETIME_SECONDS` after the period began."""
CODES_PER_USER = RateLimit("accounts.confirmation_codes_per_user", 10, 24 * HOUR_SECONDS)
WRONG_CODE = _l("This is not the code of an e-mail that you requested here within the last ten minutes.")


async def send_code(context: AccountContext, user: User, browser_session: Session) -> None:
    """Send a code that is valid only in this browser session. Raises TooManyRequests."""
    await context.count_email(user.email)
    code = make_code(context.settings, user, _purpose(browser_session))
    device, address = describe_user_agent(context.client.user_agent), context.client.address
    details = {"device": device, "address": address, "minutes": LIFETIME_SECONDS // 60}
    send_account_email(context.session, context.settings, user, "confirm", code=code, **details)


async def check_code(context: AccountContext, user: User, browser_session: Session, code: str) -> None:
    """Check the code of a confirmation e-mail.

    Raises:
        WrongCredential: the code is wrong, expired, or for another session.
        TooManyRequests: the user has sent too many wrong codes within a day.
    """
    attempt = CODES_PER_USER.by(user.id)
    await context.limiter.hit(attempt)
    ages = range(0, LIFETIME_SECONDS, PERIOD_SECONDS)
    if not any(is_code(context.settings, user, _purpose(browser_session, age), code) for age in ages):
        context.log_refused_sign_in("confirmation", user)
        raise WrongCredential("code", WRONG_CODE)
    await context.limiter.refund(context.session, attempt)


def _purpose(browser_session: Session, age_seconds: int = 0) -> str:
    period = (int(utc_now().timestamp()) - age_seconds) // PERIOD_SECONDS
    return f"confirm {browser_session.token_hash} {period}"
