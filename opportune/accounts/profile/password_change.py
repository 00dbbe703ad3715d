"""A new password, of which its owner is told."""

from opportune.accounts import emails
from opportune.accounts.manager import UserManager
from opportune.accounts.models import User
from opportune.settings import Settings


async def change_password(manager: UserManager, settings: Settings, user: User, password: str) -> User:
    """Ends every session and token.

    Raises:
        PasswordError: with a sentence for its owner.
    """
    user = await manager.change(user, password=password)
    emails.send_account_email(manager.session, settings, user.email, "password_changed", email=user.email)
    return user
