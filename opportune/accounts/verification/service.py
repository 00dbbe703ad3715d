"""To prove an address by the link in an e-mail, which also makes an account that somebody has registered."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import signed_links
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.accounts.registration.service import read_registration
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import EmailTakenError, InvalidPasswordError
from opportune.accounts.users.factory import user_manager
from opportune.accounts.users.lookup import find_by_email
from opportune.accounts.verification.emails import send_verification_email
from opportune.config.settings import Settings
from opportune.web.rate_limit import RateLimit

VERIFICATIONS_PER_ACCOUNT = RateLimit("accounts.verifications_per_account", 20)

REGISTRATION_NOT_PROVED = "This is not the password of the registration. If you have not registered, leave this page."


async def request_verification(context: AccountContext, email: str) -> None:
    """Send another link to verify, if it is wanted. Raises TooManyRequests."""
    await context.request_email(email, send_verification_email(email))


async def can_verify(session: AsyncSession, settings: Settings, token: str) -> bool:
    """Whether `verify_email` would do anything."""
    if found := await signed_links.read_link_token(session, settings, "verify", token):
        return not found[0].is_verified
    new = read_registration(settings, token)
    if new is None or not await user_manager(session, settings).may_register(new[0]):
        return False
    return await find_by_email(session, new[0]) is None


async def is_link_of(session: AsyncSession, settings: Settings, token: str, user: User | None) -> bool:
    """Return whether this link was sent to the signed-in user, who then need not type the password again."""
    found = await signed_links.read_link_token(session, settings, "verify", token) if user else None
    return bool(found and user and found[0].id == user.id)


async def verify_email(
    context: AccountContext, token: str, password: str, signed_in: User | None = None
) -> User | None:
    """Take a link from an e-mail as the proof of its address, and make the account if there is none yet.

    None if the link is invalid, too old, or has been used. `signed_in` is the user of this browser: for a link of their
    own the password is not needed.

    Raises:
        InvalidPasswordError: somebody else may have registered this address, or staff have made its account, to share
            it when its owner opens the link.
        TooManyRequests: there were too many wrong ones before.
    """
    found = await signed_links.read_link_token(context.session, context.settings, "verify", token)
    await context.manager.release()
    user = found[0] if found else None
    claim = (user.email, user.hashed_password) if user else read_registration(context.settings, token)
    if claim is None or (user and user.is_verified):
        return None
    if user and signed_in and user.id == signed_in.id:
        return await _verify_now(context, user)
    email, hashed_password = claim
    await context.limiter.hit(VERIFICATIONS_PER_ACCOUNT.by(email))
    if not (await hashing.verify_password(password, hashed_password))[0]:
        raise InvalidPasswordError(REGISTRATION_NOT_PROVED)
    if user:
        return await _verify_now(context, user)
    if not await context.manager.may_register(email):  # since the e-mail was sent
        return None
    try:
        made: User = await context.manager.add(email, hashed_password, is_verified=True)
    except EmailTakenError:
        return None
    return made


async def _verify_now(context: AccountContext, user: User) -> User | None:
    """If address and password are those that were proved: at the same moment they may become others."""
    if not await context.manager.is_unchanged(user):
        return None
    await context.session.refresh(user, ["is_verified"])
    if user.is_verified:
        return None
    user.is_verified = True
    await context.session.flush()
    record_event(context, user, "email_verified")
    return user
