"""Verification of an address by the link in an e-mail. The link of a registration also creates the account."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import signed_links
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.registration.service import read_registration
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.accounts.users.errors import EmailTakenError, InvalidLinkError, InvalidPasswordError
from opportune.accounts.users.lookup import find_active_by_email, find_by_email
from opportune.config.settings import Settings
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import JobContext, job
from opportune.web.rate_limit import RateLimit

VERIFICATIONS_PER_ACCOUNT = RateLimit("accounts.verifications_per_account", 20)

REGISTRATION_NOT_VERIFIED = _l(
    "This is not the password of the registration. If you have not registered, close this page."
)


async def request_verification(context: AccountContext, email: str) -> None:
    """Send another link, if the address has an unverified account. Raises TooManyRequests."""
    await context.request_email(email, send_verification_email(email))


async def can_verify(session: AsyncSession, settings: Settings, token: str) -> bool:
    """Return whether the link is valid: its account is not verified, or its registration is not finished."""
    if link := await signed_links.read_link_token(session, settings, "verify", token):
        return not link[0].is_verified
    registration = read_registration(settings, token)
    if registration is None or not await user_manager(session, settings).may_register(registration[0]):
        return False
    return await find_by_email(session, registration[0]) is None


async def is_link_for(session: AsyncSession, settings: Settings, token: str, user: User | None) -> bool:
    """Return whether the link is for the signed-in user, who does not need to enter the password again."""
    link = await signed_links.read_link_token(session, settings, "verify", token) if user else None
    return bool(link and user and link[0].id == user.id)


async def verify_email(context: AccountContext, token: str, password: str, signed_in_user: User | None = None) -> User:
    """Verify the address of a link. The link of a registration also creates the account.

    `signed_in_user` is the user of this browser, who needs no password for a link to their own address.

    Raises:
        InvalidLinkError: the link was not made by this site, is too old, or has been used.
        InvalidPasswordError: this is not the password of the account or registration. Another person may have
            registered the address in order to share the account with its owner.
        TooManyRequests: there were too many wrong passwords.
    """
    link = await signed_links.read_link_token(context.session, context.settings, "verify", token)
    await context.manager.release()
    if link:
        return await _verify_account(context, link[0], password, signed_in_user)
    return await _finish_registration(context, token, password)


async def _verify_account(context: AccountContext, user: User, password: str, signed_in_user: User | None) -> User:
    if user.is_verified:
        raise InvalidLinkError
    if signed_in_user is None or signed_in_user.id != user.id:
        await _check_password(context, user.email, password, user.hashed_password)
    return await _verify_user(context, user)


async def _finish_registration(context: AccountContext, token: str, password: str) -> User:
    registration = read_registration(context.settings, token)
    if registration is None:
        raise InvalidLinkError
    email, hashed_password = registration
    await _check_password(context, email, password, hashed_password)
    if not await context.manager.may_register(email):  # the rules may have changed since the e-mail was sent
        raise InvalidLinkError
    try:
        created: User = await context.manager.add(email, hashed_password, is_verified=True)
    except EmailTakenError:
        raise InvalidLinkError from None
    return created


async def _check_password(context: AccountContext, email: str, password: str, hashed_password: str) -> None:
    """Raise InvalidPasswordError for a wrong password, or TooManyRequests."""
    await context.limiter.hit(VERIFICATIONS_PER_ACCOUNT.by(email))
    if not (await hashing.verify_password(password, hashed_password))[0]:
        raise InvalidPasswordError(REGISTRATION_NOT_VERIFIED)


async def _verify_user(context: AccountContext, user: User) -> User:
    """Mark the address as verified, unless the account has changed since it was read. Raises InvalidLinkError."""
    if not await context.manager.is_unchanged(user):
        raise InvalidLinkError
    await context.session.refresh(user, ["is_verified"])
    if user.is_verified:
        raise InvalidLinkError
    user.is_verified = True
    await context.session.flush()
    record_event(context, user, "email_verified")
    return user


@job("accounts.send_verification_email")
async def send_verification_email(run: JobContext, email: str) -> None:
    """Send another link to verify the address, if it has an active account and is not verified yet."""
    await run.write(_send_email, run.settings, email)


async def _send_email(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_active_by_email(session, email)
    if user and not user.is_verified:
        await user_manager(session, settings).request_verify(user)
