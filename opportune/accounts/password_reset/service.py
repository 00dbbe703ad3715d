"""Password reset by the link in an e-mail."""

from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.password_reset.emails import send_password_reset_email
from opportune.accounts.users.context import AccountContext


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
