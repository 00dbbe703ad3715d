"""What changes to accounts are given in place of a request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.accounts.users import user_manager
from opportune.config.settings import Settings
from opportune.web.client import Client
from opportune.web.rate_limit import RateLimiter
from opportune.web.security_log import log_security_event

if TYPE_CHECKING:
    from opportune.accounts.manager import UserManager


@dataclass(frozen=True)
class AccountContext:
    """What a change takes: a session that writes, the settings, what counts attempts, and who asks from where."""

    session: AsyncSession
    settings: Settings
    limiter: RateLimiter
    client: Client

    def log_refused_sign_in(self, reason: str, user: User | None) -> None:
        """Write a line to the security log; `user` is the account that was tried, if it exists."""
        log_security_event("sign_in_refused", self.client.address, user.id if user else None, reason=reason)

    @property
    def manager(self) -> "UserManager[User]":
        """The project's, from `app/users/manager.py`."""
        return user_manager(self.session, self.settings)
