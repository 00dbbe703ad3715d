"""Changes of a user's own account. A new e-mail is used after its link is opened, in case it is misspelt."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import signed_links
from opportune.accounts.emails.delivery import email_is_enabled, send_account_email
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import EmailTakenError
from opportune.config.settings import Settings
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

CHANGE_EMAIL_PATH = "/accounts/change-email"
CHANGE_EMAIL_PURPOSE = "change-email"
EMAIL_CHANGES_PER_USER = RateLimit("accounts.email_changes_per_user", 5, HOUR_SECONDS)


async def update_profile(context: AccountContext, user: User, changes: Mapping[str, Any]) -> None:
    """Store the project's fields, which need no proof."""
    await context.manager.user_db.update(user, changes)


async def change_password(context: AccountContext, user: User, password: str) -> User:
    """Set a new password, end all sessions and tokens, and notify the user by e-mail.

    Raises:
        InvalidPasswordError: with a message for the user.
    """
    user = await context.manager.change(user, password=password)
    record_event(context, user, "password_changed")
    return user


async def check_email_change(context: AccountContext, user: User, email: str) -> None:
    """Check a change of the e-mail before anything is changed.

    Raises:
        TooManyRequests: too many e-mails were requested.
        EmailTakenError: the address has an account, and the site sends no e-mails to say so.
    """
    await context.limiter.hit(EMAIL_CHANGES_PER_USER.by(user.id))
    if not email_is_enabled(context.settings) and await context.manager.is_taken(email):
        raise EmailTakenError
    await context.manager.release()  # hashing may take long


async def request_email_change(context: AccountContext, user: User, email: str) -> bool:
    """Write to the new address. Only its owner learns whether it has an account.

    If the site sends no e-mails, change the address without verification and return False.

    Raises:
        EmailTakenError: the address got an account since `check_email_change`.
    """
    settings = context.settings
    if not email_is_enabled(settings):
        await _change_email(context, user, email, is_verified=None)
        return False
    token = signed_links.make_link_token(settings, CHANGE_EMAIL_PURPOSE, user, email=email)
    template = "email_taken" if await context.manager.is_taken(email) else "email_change"
    path = f"{CHANGE_EMAIL_PATH}?token={token}"
    send_account_email(context.session, settings, email, template, old=user.email, path=path)
    return True


async def read_email_change(
    session: AsyncSession, settings: Settings, user: User, token: str
) -> tuple[User, str] | None:
    """Return this user, loaded in the session, and the address of a link.

    Return None if the link is invalid, expired or used, or of another user.
    """
    found = await signed_links.read_link_token(session, settings, CHANGE_EMAIL_PURPOSE, token)
    return (found[0], str(found[1]["email"])) if found and found[0].id == user.id else None


async def confirm_email_change(context: AccountContext, user: User, email: str) -> None:
    """Change the address of a link, and notify the old address.

    Raises:
        EmailTakenError: another account has the address by now.
        InvalidPasswordError: the password was changed at the same time.
    """
    await _change_email(context, user, email, is_verified=True)


async def _change_email(context: AccountContext, user: User, email: str, *, is_verified: bool | None) -> None:
    old = user.email
    await context.manager.change(user, email=email, is_verified=is_verified)
    record_event(context, user, "email_changed", to=old, old=old, new=email)
