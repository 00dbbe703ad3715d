"""Password reset by the link in an e-mail."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.users.context import AccountContext, user_manager
from opportune.accounts.users.lookup import find_active_by_email
from opportune.config.settings import Settings
from opportune.jobs import JobContext, job


async def request_password_reset(context: AccountContext, email: str) -> None:
    """Send a link to choose a new password, if the address has an account. Raises TooManyRequests."""
    await context.request_email(email, send_password_reset_email(email))


async def reset_password(context: AccountContext, token: str, password: str) -> User:
    """Set a new password for the user of a link, and sign them out everywhere.

    Raises:
        InvalidLinkError: the link was not made by this site, is too old, or has been used.
        InvalidPasswordError: the password is too weak. The link can be used again.
    """
    user: User = await context.manager.reset_password(token, password)
    record_event(context, user, "password_was_reset")
    return user


@job("accounts.send_password_reset_email")
async def send_password_reset_email(run: JobContext, email: str) -> None:
    """Send a link to choose a new password, if the address has an active account."""
    await run.write(_send_email, run.settings, email)


async def _send_email(session: AsyncSession, settings: Settings, email: str) -> None:
    if user := await find_active_by_email(session, email):
        await user_manager(session, settings).forgot_password(user)
