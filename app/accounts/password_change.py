"""A new password, of which its owner is told."""

from app.accounts import letters
from app.accounts.manager import UserManager
from app.accounts.models import User
from app.core.mail import compose, post
from app.core.settings import Settings


async def change_password(manager: UserManager, settings: Settings, user: User, password: str) -> User:
    """Ends every session and token.

    Raises:
        InvalidPasswordException: with a sentence in `reason`.
    """
    user = await manager.change(user, password=password)
    if letters.leave(settings):
        letter = compose(settings, user.email, "accounts/mail/password_changed", {"email": user.email})
        post(manager.session, letter)
    return user
