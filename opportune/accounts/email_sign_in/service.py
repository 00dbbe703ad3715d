"""To sign in by an e-mail: its link in any browser, or its code in the one that asked.

Of a request nothing is stored but how often it was tried. The browser that asked keeps it, sealed; so it can be
asked for any address, and neither answer nor time tell whether that has an account.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.email_sign_in.emails import send_sign_in_email
from opportune.accounts.emails.signed_links import LIFETIMES, read_link_token
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.sign_in.service import PASSWORDS_PER_ADDRESS, PASSWORDS_PER_DEVICE
from opportune.accounts.sign_in_methods.email_codes import is_code
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.lookup import find_by_email
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit, TooManyRequests
from opportune.web.user_agent import describe_user_agent

LIFETIME_SECONDS = int(LIFETIMES["email-sign-in"].total_seconds())
PURPOSE = "accounts: sign-in by e-mail"

USES = RateLimit("accounts.email_sign_in_uses", 1, LIFETIME_SECONDS)
"""Of one e-mail, by link or by code, in all processes."""
CODES_PER_REQUEST = RateLimit("accounts.email_codes_per_request", 5, LIFETIME_SECONDS)
CODES_PER_ACCOUNT = RateLimit("accounts.email_codes_per_account", 10, 24 * HOUR_SECONDS)
"""Few and for long: a code is short, and whoever likes has one sent to a stranger. Nobody guesses a link."""

WRONG_CODE = "This is not the code of the newest e-mail that was asked for here."
ENDED = "There were too many wrong codes, so that e-mail counts no more. Ask for another one."


class RequestEnded(Exception):
    """So many wrong codes were typed that neither the code nor the link of this e-mail counts any more."""


@dataclass(frozen=True)
class SignInRequest:
    """What a browser or a program keeps of the e-mail that it has asked for."""

    number: str
    email: str
    next: str = "/"
    remember: bool = False


async def request_sign_in(
    context: AccountContext,
    email: str,
    next_path: str = "/",
    *,
    remember: bool = False,
) -> SignInRequest:
    """Send an e-mail to sign in with, if an active user has this address. Raises TooManyRequests."""
    wanted = SignInRequest(secrets.token_urlsafe(16), email, next_path, remember)
    client = context.client
    device = describe_user_agent(client.user_agent)
    await context.request_email(email, send_sign_in_email(email, wanted.number, next_path, device, client.address))
    return wanted


def seal_request(settings: Settings, wanted: SignInRequest) -> str:
    return seal(settings, PURPOSE, json.dumps(asdict(wanted)))


def read_request(settings: Settings, sealed: str) -> SignInRequest | None:
    """What was sealed; None if it was not by us, or too long ago."""
    text = unseal(settings, PURPOSE, sealed, LIFETIME_SECONDS)
    return None if text is None else SignInRequest(**json.loads(text))


async def check_code(context: AccountContext, wanted: SignInRequest, code: str, device: str = "") -> User | None:
    """Whom this code of the e-mail belongs to, who still has to `use_email`; None if it is wrong.

    `device` is the number of a browser that this user has signed in with before.

    Raises:
        RequestEnded: there were too many wrong ones of this e-mail.
        TooManyRequests: there were too many wrong ones of this account, or from this address.
    """
    try:
        await context.limiter.hit(CODES_PER_REQUEST.by(wanted.number))
    except TooManyRequests:
        context.log_refused_sign_in("email_code", None)
        raise RequestEnded from None
    elsewhere = PASSWORDS_PER_ADDRESS.by(context.client.address), CODES_PER_ACCOUNT.by(wanted.email)
    guesses = (PASSWORDS_PER_DEVICE.by(device),) if device else elsewhere
    await context.limiter.hit(*guesses)
    user = await find_by_email(context.session, wanted.email)
    if not is_code(context.settings, user, wanted.number, code):
        context.log_refused_sign_in("email_code", user)
        return None
    await context.limiter.refund(context.session, *guesses)
    return user


async def read_link(session: AsyncSession, settings: Settings, token: str) -> tuple[User, dict[str, Any]] | None:
    """Whom a link belongs to, who still has to `use_email`, and what is known of its request."""
    return await read_link_token(session, settings, "email-sign-in", token)


async def use_email(context: AccountContext, user: User, number: str) -> bool:
    """Whether this user may sign in by the e-mail of a request: once, active, and as they were when it was read.

    The user stays locked until the transaction ends.
    """
    await context.manager.release()
    if not (await _use_once(context, number) and await context.manager.is_unchanged(user)):
        context.log_refused_sign_in("email", user)
        return False
    if not user.is_verified:
        await context.manager.prove_email(user)
        record_event(context, user, "email_verified")
    return True


async def _use_once(context: AccountContext, number: str) -> bool:
    try:
        await context.limiter.hit(USES.by(number))
    except TooManyRequests:
        return False
    return True
