"""What people change of themselves. A new e-mail counts once its link is opened: a typo gives nobody the account."""

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
    """Store what needs no proof: the fields that the project has added."""
    await context.manager.user_db.update(user, changes)


async def change_password(context: AccountContext, user: User, password: str) -> User:
    """Give the user a new password, which ends every session and token, and tell them by mail.

    Raises:
        InvalidPasswordError: with a sentence for its owner.
    """
    user = await context.manager.change(user, password=password)
    record_event(context, user, "password_changed")
    return user


async def check_email_change(context: AccountContext, user: User, email: str) -> None:
    """Find out what speaks against it, before anything is changed.

    Raises:
        TooManyRequests: they have had enough e-mails written.
        EmailTakenError: the address has an account, and no e-mails leave that could say so to its owner alone.
    """
    await context.limiter.hit(EMAIL_CHANGES_PER_USER.by(user.id))
    if not email_is_enabled(context.settings) and await context.manager.is_taken(email):
        raise EmailTakenError
    await context.manager.release()  # a password may have to be hashed


async def request_email_change(context: AccountContext, user: User, email: str) -> bool:
    """Write to the new address. Only its owner learns whether it has an account already.

    Where no e-mails leave the change is made at once, and this is False; the address is not verified then.

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
    """This user, as the session has them, and the address that a link is about.

    None if it is no link of this user's, too old or used.
    """
    found = await signed_links.read_link_token(session, settings, CHANGE_EMAIL_PURPOSE, token)
    return (found[0], str(found[1]["email"])) if found and found[0].id == user.id else None


async def confirm_email_change(context: AccountContext, user: User, email: str) -> None:
    """Make the change that a link is about, and tell the old address.

    Raises:
        EmailTakenError: the address has another account by now.
        InvalidPasswordError: the password was changed at the same moment.
    """
    await _change_email(context, user, email, is_verified=True)


async def _change_email(context: AccountContext, user: User, email: str, *, is_verified: bool | None) -> None:
    old = user.email
    await context.manager.change(user, email=email, is_verified=is_verified)
    record_event(context, user, "email_changed", to=old, old=old, new=email)
