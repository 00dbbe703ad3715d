"""To register: by an e-mail, so that nobody learns who has an account; where no e-mails arrive, at once."""

import json

from opportune.accounts.emails.delivery import email_is_delivered
from opportune.accounts.emails.signed_links import LIFETIMES
from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.registration.emails import send_registration_email
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import RegistrationClosedError
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.jobs import defer
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

REGISTRATIONS_PER_ADDRESS = RateLimit("accounts.registrations_per_address", 100, HOUR_SECONDS)
FAILED_REGISTRATIONS_PER_ADDRESS = RateLimit("accounts.failed_registrations_per_address", 20)

REGISTRATION_PURPOSE = "accounts: register"

REGISTRATION_IS_CLOSED = "This site takes no new registrations. Sign in if you have an account."
INVITATION_NEEDED = "You need an invitation to register. Use the address that it was sent to."


async def register(context: AccountContext, email: str, password: str) -> User | None:
    """Make an account and give it, or None where the rest is up to an e-mail.

    Where e-mails arrive, all answers are the same whether or not there is an account, and take as long. Where they do
    not (MAIL_URL is `console:`), this tells of a taken address; how often it does is limited.

    Raises:
        RegistrationClosedError: registration is closed; or, where no e-mails arrive, the address has no invitation.
        TooManyRequests: there were too many before.
        InvalidPasswordError: with a sentence for the user.
        EmailTakenError: only where no e-mails arrive.
    """
    if context.settings.registration == "closed":
        raise RegistrationClosedError(REGISTRATION_IS_CLOSED)
    if not email_is_delivered(context.settings):
        return await _register_now(context, email, password)
    await context.manager.check_new_password(password, email)
    await context.count_email(email)
    new = json.dumps([email, await hashing.hash_password(password)])
    defer(context.session, send_registration_email(email, seal(context.settings, REGISTRATION_PURPOSE, new)))
    return None


def read_registration(settings: Settings, token: str) -> tuple[str, str] | None:
    """E-mail and hash of the password from the link that makes an account; None if it is not ours, or too old."""
    text = unseal(settings, REGISTRATION_PURPOSE, token, int(LIFETIMES["verify"].total_seconds()))
    if text is None:
        return None
    email, hashed_password = json.loads(text)
    return email, hashed_password


async def require_registration(context: AccountContext, email: str) -> None:
    """Raise RegistrationClosedError if this address may not register."""
    if not await context.manager.may_register(email):
        is_closed = context.settings.registration == "closed"
        raise RegistrationClosedError(REGISTRATION_IS_CLOSED if is_closed else INVITATION_NEEDED)


async def _register_now(context: AccountContext, email: str, password: str) -> User:
    made = REGISTRATIONS_PER_ADDRESS.by(context.client.address)
    failed = FAILED_REGISTRATIONS_PER_ADDRESS.by(context.client.address)
    await context.limiter.hit(made, failed)
    await require_registration(context, email)
    user = await context.manager.register(email, password)
    await context.limiter.refund(context.session, failed)
    await context.manager.request_verify(user)
    return user
