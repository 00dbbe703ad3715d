"""To get back in without the password, by an e-mail."""

from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.password_reset.emails import send_password_reset_email
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import InvalidLinkError


async def request_password_reset(context: AccountContext, email: str) -> None:
    """Send a link to choose a new password, if somebody has this address. Raises TooManyRequests."""
    await context.request_email(email, send_password_reset_email(email))


async def reset_password(context: AccountContext, token: str, password: str) -> User | None:
    """Give the user of a link a new password, which signs them out everywhere.

    None if the link is not ours, too old, or has been used.

    Raises:
        InvalidPasswordError: with a sentence for its owner. The link can be used again.
    """
    try:
        user: User = await context.manager.reset_password(token, password)
    except InvalidLinkError:
        return None
    record_event(context, user, "password_was_reset")
    return user
