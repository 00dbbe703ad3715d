"""Confirmation by a code in an e-mail, for users with neither password nor passkey.

Nothing is stored: the code is derived from the session's token, which changes with the confirmation.
"""

from opportune.accounts.emails.delivery import send_account_email
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication.service import WrongCredential
from opportune.accounts.sign_in_methods.email_codes import is_code, make_code
from opportune.accounts.users.context import AccountContext
from opportune.db.models.model import utc_now
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit
from opportune.web.user_agent import describe_user_agent

LIFETIME_SECONDS = 600
SPAN_SECONDS = 60
"""Codes within the same span are equal, so a code may expire earlier by up to this time."""
CODES_PER_USER = RateLimit("accounts.confirmation_codes_per_user", 10, 24 * HOUR_SECONDS)
WRONG_CODE = "This is not the code of an e-mail that you requested here within the last ten minutes."


async def send_code(context: AccountContext, user: User, here: Session) -> None:
    """Send a code for this session only. Raises TooManyRequests."""
    await context.count_email(user.email)
    code = make_code(context.settings, user, _purpose(here))
    device, address = describe_user_agent(context.client.user_agent), context.client.address
    details = {"device": device, "address": address, "minutes": LIFETIME_SECONDS // 60}
    send_account_email(context.session, context.settings, user.email, "confirm", code=code, **details)


async def check_code(context: AccountContext, user: User, here: Session, code: str) -> None:
    """Check the code of such an e-mail.

    Raises:
        WrongCredential: it is wrong, expired, or for another session.
        TooManyRequests: there were too many wrong codes.
    """
    guess = CODES_PER_USER.by(user.id)
    await context.limiter.hit(guess)
    spans = range(0, LIFETIME_SECONDS, SPAN_SECONDS)
    if not any(is_code(context.settings, user, _purpose(here, ago), code) for ago in spans):
        context.log_refused_sign_in("confirmation", user)
        raise WrongCredential("code", WRONG_CODE)
    await context.limiter.refund(context.session, guess)


def _purpose(here: Session, seconds_ago: int = 0) -> str:
    span = (int(utc_now().timestamp()) - seconds_ago) // SPAN_SECONDS
    return f"confirm {here.token_hash} {span}"
