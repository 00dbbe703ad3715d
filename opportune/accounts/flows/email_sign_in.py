"""Sign-in by e-mail. Its link works in any browser, and its code in the browser that requested it.

The browser keeps the encrypted request. The site stores only the number of attempts. A job sends the e-mail, so neither
the response nor its time reveals whether an address has an account.
"""

import secrets
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import send_account_email
from opportune.accounts.events.service import record_event
from opportune.accounts.flows.sign_in import limits_of_sign_in
from opportune.accounts.models import User
from opportune.accounts.signed_links import LIFETIMES, SignedLink, is_code, make_code, make_link_token, read_link_token
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.queries import find_active_by_email, find_by_email
from opportune.config.settings import Settings
from opportune.config.signing import seal_fields, unseal_as
from opportune.db.clock import utc_now
from opportune.errors import Refused
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import JobContext, job
from opportune.web.client import describe_user_agent
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit, TooManyRequests

LIFETIME_SECONDS = int(LIFETIMES["email-sign-in"].total_seconds())
PURPOSE = "accounts: sign-in by e-mail"

USES = RateLimit("accounts.email_sign_in_uses", 1, 24 * HOUR_SECONDS)
"""Each e-mail can be used once, by link or by code, in all processes, also those whose clock was set back."""
CODES_PER_REQUEST = RateLimit("accounts.email_codes_per_request", 5, LIFETIME_SECONDS)
CODES_PER_ACCOUNT = RateLimit("accounts.email_codes_per_account", 10, 24 * HOUR_SECONDS)
"""A low limit per day, because codes are short and anyone can request them for any address."""

WRONG_CODE = _l("This is not the code of the newest e-mail that you requested here.")
TOO_MANY_CODES = _l("There were too many wrong codes, so this e-mail is no longer valid. Request another one.")


class TooManyWrongCodes(Refused):
    """There were too many wrong codes, so the code and the link of this e-mail are no longer valid."""

    status = 410


class SignInRequest(NamedTuple):
    """A request for a sign-in e-mail, kept encrypted by the browser or program."""

    number: str
    """Random id of the request."""
    email: str
    next: str = "/"
    remember: bool = False


async def request_sign_in(
    context: AccountContext, email: str, next_path: str = "/", *, remember: bool = False
) -> SignInRequest:
    """Queue a sign-in e-mail, which is sent if the address has an active account.

    Raises:
        TooManyRequests: Too many e-mails were requested.
    """
    sign_in_request = SignInRequest(secrets.token_urlsafe(16), email, next_path, remember)
    device = describe_user_agent(context.client.user_agent)
    job_call = send_sign_in_email(email, sign_in_request.number, next_path, device, context.client.address)
    await context.request_email(email, job_call)
    return sign_in_request


def seal_request(settings: Settings, sign_in_request: SignInRequest) -> str:
    return seal_fields(settings, PURPOSE, sign_in_request)


def read_request(settings: Settings, sealed: str) -> SignInRequest | None:
    """Return a decrypted request; None if it is invalid or expired."""
    return unseal_as(SignInRequest, settings, PURPOSE, sealed, LIFETIME_SECONDS)


async def check_code(
    context: AccountContext, sign_in_request: SignInRequest, code: str, device: str = ""
) -> User | None:
    """Return the user of this code; None if the code is wrong. Call `use_email` before signing in the user.

    `device` is the id from `trusted_device` if this user has signed in with this browser before.

    Raises:
        TooManyWrongCodes: There were too many wrong codes for this e-mail.
        TooManyRequests: There were too many wrong codes for this account, or from this IP address.
    """
    await _count_code_of_request(context, sign_in_request)
    attempts = limits_of_sign_in(context, CODES_PER_ACCOUNT.by(sign_in_request.email), device)
    await context.limiter.hit(*attempts)
    user = await find_by_email(context.session, sign_in_request.email)
    if not is_code(context.settings, user, sign_in_request.number, code):
        context.log_refused_sign_in("email_code", user)
        return None
    await context.limiter.refund(context.session, *attempts)
    return user


async def _count_code_of_request(context: AccountContext, sign_in_request: SignInRequest) -> None:
    """Count a code for this e-mail.

    Raises:
        TooManyWrongCodes: The e-mail has no attempt left.
    """
    try:
        await context.limiter.hit(CODES_PER_REQUEST.by(sign_in_request.number))
    except TooManyRequests:
        await context.is_first_use(USES.by(sign_in_request.number))  # from now on, its link is refused as well
        context.log_refused_sign_in("email_code", None)
        raise TooManyWrongCodes(TOO_MANY_CODES) from None


async def read_link(session: AsyncSession, settings: Settings, token: str) -> SignedLink | None:
    """Return the user of a link, and the details that `send_sign_in_email` signed; None if the link is invalid.

    Call `use_email` before signing in the user.
    """
    return await read_link_token(session, settings, "email-sign-in", token)


async def use_email(context: AccountContext, user: User, number: str) -> bool:
    """Mark the e-mail as used, and verify the address of its user.

    Return False if the e-mail was used before, or if the account is inactive or has changed. The user stays locked
    until the transaction ends.
    """
    await context.session.commit()
    if not (await context.is_first_use(USES.by(number)) and await context.manager.lock_unchanged(user)):
        context.log_refused_sign_in("email", user)
        return False
    if not user.is_verified:
        await context.manager.prove_email(user)
        record_event(context, user, "email_verified")
    return True


@job("accounts.send_sign_in_email")
async def send_sign_in_email(run: JobContext, email: str, number: str, next: str, device: str, address: str) -> None:
    """Send the link and the code of a request, if the address has an active account."""
    details = {"number": number, "next": next, "device": device, "address": address, "at": utc_now().isoformat()}
    await run.write(_send_email, run.settings, email, details)


async def _send_email(session: AsyncSession, settings: Settings, email: str, details: dict[str, str]) -> None:
    if user := await find_active_by_email(session, email):
        token = make_link_token(settings, "email-sign-in", user, **details)
        code = make_code(settings, user, details["number"])
        client = {"device": details["device"], "address": details["address"]}
        send_account_email(
            session, settings, user, "sign_in", token=token, code=code, minutes=LIFETIME_SECONDS // 60, **client
        )
