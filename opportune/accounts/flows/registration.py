"""Registration, and the links in e-mails that verify an address or reset a password.

The link of a registration creates the account, so that responses do not reveal who has an account. If the site sends no
e-mails, the account is created immediately.
"""

from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import email_is_delivered, send_account_email
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.signed_links import LIFETIMES, read_link_token
from opportune.accounts.users import errors
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.accounts.users.queries import find_active_by_email, find_by_email
from opportune.config.settings import Settings
from opportune.config.signing import seal_fields, unseal_as
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import JobContext, defer, job
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

REGISTRATIONS_PER_IP = RateLimit("accounts.registrations_per_address", 100, HOUR_SECONDS)
FAILED_REGISTRATIONS_PER_IP = RateLimit("accounts.failed_registrations_per_address", 20)
VERIFICATIONS_PER_ACCOUNT = RateLimit("accounts.verifications_per_account", 20)
REGISTRATION_PURPOSE = "accounts: register"

REGISTRATION_IS_CLOSED = _l("This site accepts no new registrations. Sign in if you have an account.")
INVITATION_NEEDED = _l("You need an invitation to register. Use the address that it was sent to.")
REGISTRATION_NOT_VERIFIED = _l(
    "This is not the password of the registration. If you have not registered, close this page."
)


class Registration(NamedTuple):
    """An account that the link of an e-mail creates."""

    email: str
    hashed_password: str


async def register(context: AccountContext, email: str, password: str) -> User | None:
    """Create an account and return it; return None if the site sends a link that creates it.

    With a link, the response and its timing do not reveal whether an account exists. Without e-mails (MAIL_URL is
    `console:`), the response reveals it, so there is a rate limit.

    Raises:
        RegistrationClosedError: Registration is closed; or, without e-mails, the address has no invitation.
        TooManyRequests: There were too many registrations.
        InvalidPasswordError: With a message for the user.
        EmailTakenError: The address has an account. Raised only without e-mails.
    """
    if context.settings.registration == "closed":
        raise errors.RegistrationClosedError(REGISTRATION_IS_CLOSED)
    if not email_is_delivered(context.settings):
        return await _register_now(context, email, password)
    await context.manager.check_new_password(password, email)
    await context.count_email(email)
    registration = Registration(email, await hashing.hash_password(password))
    token = seal_fields(context.settings, REGISTRATION_PURPOSE, registration)
    defer(context.session, send_registration_email(email, token))
    return None


def read_registration(settings: Settings, token: str) -> Registration | None:
    """Return the registration of a link; None if it is invalid or expired."""
    seconds = int(LIFETIMES["verify"].total_seconds())
    return unseal_as(Registration, settings, REGISTRATION_PURPOSE, token, seconds)


async def require_may_register(context: AccountContext, email: str) -> None:
    """Raise RegistrationClosedError if this address may not register."""
    if not await context.manager.may_register(email):
        is_closed = context.settings.registration == "closed"
        raise errors.RegistrationClosedError(REGISTRATION_IS_CLOSED if is_closed else INVITATION_NEEDED)


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
    await run.write(_send_registration_email, run.settings, email, token)


async def _send_registration_email(session: AsyncSession, settings: Settings, email: str, token: str) -> None:
    is_taken = await find_by_email(session, email) is not None
    if not is_taken and not await user_manager(session, settings).may_register(email):
        return
    template = "already_registered" if is_taken else "register"
    send_account_email(session, settings, email, template, token=token)


async def request_verification(context: AccountContext, email: str) -> None:
    """Send another link, if the address has an unverified account.

    Raises:
        TooManyRequests: Too many e-mails were requested.
    """
    await context.request_email(email, send_verification_email(email))


async def can_verify(session: AsyncSession, settings: Settings, token: str) -> bool:
    """Return whether the link is valid: its account is not verified, or its registration is not finished."""
    if link := await read_link_token(session, settings, "verify", token):
        return not link.user.is_verified
    registration = read_registration(settings, token)
    if registration is None or not await user_manager(session, settings).may_register(registration.email):
        return False
    return await find_by_email(session, registration.email) is None


async def is_link_for(session: AsyncSession, settings: Settings, token: str, user: User | None) -> bool:
    """Return whether the link is for the signed-in user, who does not need to enter the password again."""
    link = await read_link_token(session, settings, "verify", token) if user else None
    return bool(link and user and link.user.id == user.id)


async def verify_email(context: AccountContext, token: str, password: str, signed_in_user: User | None = None) -> User:
    """Verify the address of a link. The link of a registration also creates the account.

    `signed_in_user` is the user of this browser, who needs no password for a link to their own address.

    Raises:
        InvalidLinkError: The link was not made by this site, is too old, or has been used.
        InvalidPasswordError: This is not the password of the account or registration. Another person may have
            registered the address in order to share the account with its owner.
        TooManyRequests: There were too many wrong passwords.
    """
    link = await read_link_token(context.session, context.settings, "verify", token)
    await context.session.commit()
    if link:
        return await _verify_account(context, link.user, password, signed_in_user)
    return await _finish_registration(context, token, password)


async def _verify_account(context: AccountContext, user: User, password: str, signed_in_user: User | None) -> User:
    if user.is_verified:
        raise errors.InvalidLinkError
    if signed_in_user is None or signed_in_user.id != user.id:
        await _check_password(context, user.email, password, user.hashed_password)
    return await _verify_user(context, user)


async def _finish_registration(context: AccountContext, token: str, password: str) -> User:
    registration = read_registration(context.settings, token)
    if registration is None:
        raise errors.InvalidLinkError
    await _check_password(context, registration.email, password, registration.hashed_password)
    # The rules may have changed since the e-mail was sent.
    if not await context.manager.may_register(registration.email):
        raise errors.InvalidLinkError
    try:
        created: User = await context.manager.add(registration.email, registration.hashed_password, is_verified=True)
    except errors.EmailTakenError:
        raise errors.InvalidLinkError from None
    return created


async def _check_password(context: AccountContext, email: str, password: str, hashed_password: str) -> None:
    """Raise InvalidPasswordError for a wrong password, or TooManyRequests."""
    await context.limiter.hit(VERIFICATIONS_PER_ACCOUNT.by(email))
    if not (await hashing.verify_password(password, hashed_password)).is_correct:
        raise errors.InvalidPasswordError(REGISTRATION_NOT_VERIFIED)


async def _verify_user(context: AccountContext, user: User) -> User:
    """Mark the address as verified, unless the account has changed since it was read.

    Raises:
        InvalidLinkError: The account has changed, or its address is verified.
    """
    if not await context.manager.lock_unchanged(user):
        raise errors.InvalidLinkError
    await context.session.refresh(user, ["is_verified"])
    if user.is_verified:
        raise errors.InvalidLinkError
    user.is_verified = True
    await context.session.flush()
    record_event(context, user, "email_verified")
    return user


@job("accounts.send_verification_email")
async def send_verification_email(run: JobContext, email: str) -> None:
    """Send another link to verify the address, if it has an active account and is not verified yet."""
    await run.write(_send_verification_email, run.settings, email)


async def _send_verification_email(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_active_by_email(session, email)
    if user and not user.is_verified:
        await user_manager(session, settings).request_verify(user)


async def request_password_reset(context: AccountContext, email: str) -> None:
    """Send a link to choose a new password, if the address has an account.

    Raises:
        TooManyRequests: Too many e-mails were requested.
    """
    await context.request_email(email, send_password_reset_email(email))


async def reset_password(context: AccountContext, token: str, password: str) -> User:
    """Set a new password for the user of a link, and sign them out everywhere.

    Raises:
        InvalidLinkError: The link was not made by this site, is too old, or has been used.
        InvalidPasswordError: The password is too weak. The link can be used again.
    """
    user: User = await context.manager.reset_password(token, password)
    record_event(context, user, "password_was_reset")
    return user


@job("accounts.send_password_reset_email")
async def send_password_reset_email(run: JobContext, email: str) -> None:
    """Send a link to choose a new password, if the address has an active account."""
    await run.write(_send_reset_email, run.settings, email)


async def _send_reset_email(session: AsyncSession, settings: Settings, email: str) -> None:
    if user := await find_active_by_email(session, email):
        await user_manager(session, settings).forgot_password(user)
