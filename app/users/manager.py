"""What happens when somebody registers, signs in, changes or leaves: FastAPI Users' manager, with its hooks."""

from app.users.models import User
from opportune import accounts


class UserManager(accounts.UserManager[User]):
    """Write `async def on_after_register(self, user, request=None)` here, or another hook of docs/accounts.md."""
