"""A new password, of which its owner is told."""

from app.accounts import letters
from app.accounts.manager import UserManager
from app.accounts.models import User
from app.core.settings import Settings


async def change_password(manager: UserManager, settings: Settings, user: User, password: str) -> User:
    """Ends every session and token.

    Raises:
        PasswordError: with a sentence for its owner.
    """
    user = await manager.change(user, password=password)
    letters.tell(manager.session, settings, user.email, "password_changed", email=user.email)
    return user
