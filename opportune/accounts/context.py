"""What changes to accounts are given in place of a request."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.manager import UserManager
from opportune.settings import Settings
from opportune.web.client import Client
from opportune.web.rate_limit import RateLimiter


@dataclass(frozen=True)
class AccountContext:
    """What a change takes: a session that writes, the settings, what counts attempts, and who asks from where."""

    session: AsyncSession
    settings: Settings
    limiter: RateLimiter
    client: Client

    @property
    def manager(self) -> UserManager:
        return UserManager(self.session)
