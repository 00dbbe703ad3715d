"""Changes of a user's own account. A new e-mail is stored when its link is opened, in case it has a typing error."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import signed_links
from opportune.accounts.emails import email_is_enabled, send_account_email
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import EmailTakenError
from opportune.config.settings import Settings
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

CHANGE_EMAIL_PURPOSE = "change-email"
EMAIL_CHANGES_PER_USER = RateLimit("accounts.email_changes_per_user", 5, HOUR_SECONDS)


async def change_password(context: AccountContext, user: User, password: str) -> User:
    """Set a new password, end all sessions and tokens, and notify the user by e-mail.

    Raises:
        InvalidPasswordError: With a message for the user.
    """
    user = await context.manager.change(user, password=password)
    record_event(context, user, "password_updated")
    return user


async def check_email_change(context: AccountContext, user: User, email: str) -> None:
    """Check a change of the e-mail before anything is changed.

    Raises:
        TooManyRequests: Too many e-mails were requested.
        EmailTakenError: The address has an account, and the site sends no e-mails to say so.
    """
    await context.limiter.hit(EMAIL_CHANGES_PER_USER.by(user.id))
    if not email_is_enabled(context.settings) and await context.manager.is_taken(email):
        raise EmailTakenError
    await context.session.commit()  # the next step may hash a password, which takes long


async def request_email_change(context: AccountContext, user: User, email: str) -> bool:
    """Send an e-mail to the new address, so that only its owner learns whether it has an account.

    If the site sends no e-mails, change the address without verification and return False.

    Raises:
        EmailTakenError: The address got an account since `check_email_change`.
    """
    if not email_is_enabled(context.settings):
        await apply_email_change(context, user, email, is_verified=None)
        return False
    token = signed_links.make_link_token(context.settings, CHANGE_EMAIL_PURPOSE, user, email=email)
    template = "email_taken" if await context.manager.is_taken(email) else "email_change"
    path = f"/accounts/change-email?token={token}"
    send_account_email(context.session, context.settings, email, template, old=user.email, path=path)
    return True


async def read_email_change(
    session: AsyncSession, settings: Settings, user: User, token: str
) -> signed_links.SignedLink | None:
    """Return a link whose data contain the new `email`; None if it is invalid, expired, used, or for another user."""
    link = await signed_links.read_link_token(session, settings, CHANGE_EMAIL_PURPOSE, token)
    return link if link and link.user.id == user.id else None


async def apply_email_change(context: AccountContext, user: User, email: str, *, is_verified: bool | None) -> None:
    """Change the user's e-mail, such as to that of a link, and notify the old address.

    Raises:
        EmailTakenError: Another account has got the address since the link was sent.
        InvalidPasswordError: The password was changed at the same time.
    """
    old_email = user.email
    await context.manager.change(user, email=email, is_verified=is_verified)
    record_event(context, user, "email_updated", to=old_email, old=old_email, new=email)
