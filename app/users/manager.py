"""The user manager of this site. Its hooks run when a user registers, signs in, changes or is deleted."""

from app.users.models import User
from opportune import accounts


class UserManager(accounts.UserManager[User]):
    """Add `async def on_after_register(self, user, request=None)` here, or another hook of oppman.py docs accounts."""
