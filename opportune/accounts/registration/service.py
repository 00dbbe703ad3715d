"""Registration. A link in an e-mail creates the account, so that responses do not reveal who has an account.

If the site sends no e-mails, the account is created immediately.
"""

import json

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails.delivery import email_is_delivered, send_account_email
from opportune.accounts.emails.signed_links import LIFETIMES
from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.accounts.users.errors import RegistrationClosedError
from opportune.accounts.users.lookup import find_by_email
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import JobContext, defer, job
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

REGISTRATIONS_PER_IP = RateLimit("accounts.registrations_per_address", 100, HOUR_SECONDS)
FAILED_REGISTRATIONS_PER_IP = RateLimit("accounts.failed_registrations_per_address", 20)

REGISTRATION_PURPOSE = "accounts: register"

REGISTRATION_IS_CLOSED = _l("This site accepts no new registrations. Sign in if you have an account.")
INVITATION_NEEDED = _l("You need an invitation to register. Use the address that it was sent to.")


async def register(context: AccountContext, email: str, password: str) -> User | None:
    """Create an account and return it; return None if the site sends a link that creates it.

    With a link, the response and its timing do not reveal whether an account exists. Without e-mails (MAIL_URL is
    `console:`), the response reveals it, so there is a rate limit.

    Raises:
        RegistrationClosedError: registration is closed; or, without e-mails, the address has no invitation.
        TooManyRequests: there were too many registrations.
        InvalidPasswordError: with a message for the user.
        EmailTakenError: the address has an account. Raised only without e-mails.
    """
    if context.settings.registration == "closed":
        raise RegistrationClosedError(REGISTRATION_IS_CLOSED)
    if not email_is_delivered(context.settings):
        return await _register_now(context, email, password)
    await context.manager.check_new_password(password, email)
    await context.count_email(email)
    new_account = json.dumps([email, await hashing.hash_password(password)])
    defer(context.session, send_registration_email(email, seal(context.settings, REGISTRATION_PURPOSE, new_account)))
    return None


def read_registration(settings: Settings, token: str) -> tuple[str, str] | None:
    """Return e-mail and password hash of a registration link; None if it is invalid or expired."""
    text = unseal(settings, REGISTRATION_PURPOSE, token, int(LIFETIMES["verify"].total_seconds()))
    if text is None:
        return None
    email, hashed_password = json.loads(text)
    return email, hashed_password


async def require_may_register(context: AccountContext, email: str) -> None:
    """Raise RegistrationClosedError if this address may not register."""
    if not await context.manager.may_register(email):
        is_closed = context.settings.registration == "closed"
        raise RegistrationClosedError(REGISTRATION_IS_CLOSED if is_closed else INVITATION_NEEDED)


async def _register_now(context: AccountContext, email: str, password: str) -> User:
    registration = REGISTRATIONS_PER_IP.by(context.client.address)
    failure = FAILED_REGISTRATIONS_PER_IP.by(context.client.address)
    await context.limiter.hit(registration, failure)
    await require_may_register(context, email)
    user = await context.manager.register(email, password)
    await context.limiter.refund(context.session, failure)
    await context.manager.request_verify(user)
    return user


@job("accounts.send_registration_email")
async def send_registration_email(run: JobContext, email: str, token: str) -> None:
    """Send the link that creates the account. If the address has an account, send a reminder to its owner.

    Addresses that may not register get no e-mail.
    """
    await run.write(_send_email, run.settings, email, token)


async def _send_email(session: AsyncSession, settings: Settings, email: str, token: str) -> None:
    is_taken = await find_by_email(session, email) is not None
    if not is_taken and not await user_manager(session, settings).may_register(email):
        return
    template = "already_registered" if is_taken else "register"
    send_account_email(session, settings, email, template, token=token)
