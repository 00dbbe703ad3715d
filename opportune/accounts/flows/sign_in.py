"""Checks of password and code at sign-in, for pages and API."""

from opportune.accounts.events.service import record_event, record_wrong_password
from opportune.accounts.models import User
from opportune.accounts.schemas import Credentials
from opportune.accounts.sign_in_methods import second_factor
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.queries import find_by_email
from opportune.config.email_domains import normalize_email
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import defer
from opportune.web.rate_limit import Hit, RateLimit

PASSWORDS_PER_ACCOUNT = RateLimit("accounts.passwords_per_account", 10)
PASSWORDS_PER_IP = RateLimit("accounts.passwords_per_address", 20)
PASSWORDS_PER_DEVICE = RateLimit("accounts.passwords_per_device", 10)
CODES_PER_ACCOUNT = RateLimit("accounts.codes_per_account", 5)
"""Only counted after a correct password, so that other people cannot lock the account."""

WRONG_CREDENTIALS = _l("E-mail or password is wrong.")
WRONG_CODE = _l("This code is wrong, or has been used.")


async def check_password(context: AccountContext, email: str, password: str, device: str = "") -> User | None:
    """Return the active user with this e-mail and password; a second factor may still be required.

    `device` is the id from `trusted_device` if this user has signed in with this browser before.

    Raises:
        TooManyRequests: There were too many wrong passwords. Correct passwords are not counted.
        Busy: Too many other users are signing in.
    """
    email = normalize_email(email)
    hits = limits_of_sign_in(context, PASSWORDS_PER_ACCOUNT.by(email), device)
    async with context.limiter.one_at_a_time(*hits):
        await context.limiter.check(*hits)
        credentials = Credentials.model_construct(username=email, password=password)
        if user := await context.manager.authenticate(credentials):
            await context.limiter.check(*hits)  # again: other processes may have counted failures since
            return user
        # Unknown addresses take the same steps, so that the time does not reveal who has an account.
        context.log_refused_sign_in("password", await find_by_email(context.session, email))
        defer(context.session, record_wrong_password(email, context.client.address, context.client.user_agent))
        await context.session.commit()
        await context.limiter.hit(*hits)
        return None


async def check_code(context: AccountContext, user: User, code: str) -> bool:
    """Return whether this is an unused code of the user. Call it after `check_password`.

    Raises:
        TooManyRequests: There were too many wrong codes.
    """
    hit = CODES_PER_ACCOUNT.by(user.email)
    await context.session.commit()
    await context.limiter.hit(hit)
    if not await context.manager.lock_unchanged(user):
        return False
    if not await second_factor.verify_code(context.session, context.settings, user, code):
        record_event(context, user, "wrong_code")
        context.log_refused_sign_in("code", user)
        return False
    await context.limiter.refund(context.session, hit)
    return True


def limits_of_sign_in(context: AccountContext, account: Hit, device: str) -> tuple[Hit, ...]:
    """Return the limits of a password or code: of the IP address and the account, or only of a known browser."""
    if device:
        return (PASSWORDS_PER_DEVICE.by(device),)
    return PASSWORDS_PER_IP.by(context.client.address), account
