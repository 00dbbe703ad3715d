"""Context of a change to an account. Services receive it instead of the request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import email_is_enabled
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.users.queries import REQUEST_KEY
from opportune.config.settings import Settings
from opportune.jobs import JobCall, defer
from opportune.project.modules import users_module
from opportune.web.client import Client
from opportune.web.middleware.security_log import log_security_event
from opportune.web.rate_limit import HOUR_SECONDS, Hit, RateLimit, RateLimiter, TooManyRequests

if TYPE_CHECKING:
    from opportune.accounts.users.manager import UserManager

EMAILS_PER_IP = RateLimit("accounts.emails_per_address", 20)
EMAILS_PER_RECIPIENT = RateLimit("accounts.emails_per_recipient", 5, HOUR_SECONDS)


def user_manager(session: AsyncSession, settings: Settings | None = None) -> "UserManager[User]":
    """Create the `UserManager` of `app/users/manager.py` for a writing session."""
    return cast("UserManager[User]", users_module("manager").UserManager.in_session(session, settings))


@dataclass(frozen=True)
class AccountContext:
    """A writing session, the settings, the rate limiter and the client of a request."""

    session: AsyncSession
    settings: Settings
    limiter: RateLimiter
    client: Client

    def log_refused_sign_in(self, reason: str, user: User | None) -> None:
        """Write a line to the security log; `user` is the account of the attempt, if it exists."""
        log_security_event("sign_in_refused", self.client.address, user.id if user else None, reason=reason)

    @property
    def manager(self) -> "UserManager[User]":
        """The project's `UserManager` from `app/users/manager.py`."""
        return user_manager(self.session, self.settings)

    @property
    def browser_session(self) -> Session | None:
        """The session of the browser that sent the request; None for programs, and without a request."""
        request = self.session.info.get(REQUEST_KEY)
        return getattr(request.state, "session", None) if request else None

    @property
    def token(self) -> ApiToken | None:
        """The token of the program that sent the request; None for browsers, and without a request."""
        request = self.session.info.get(REQUEST_KEY)
        return getattr(request.state, "token", None) if request else None

    async def count_email(self, email: str) -> None:
        """Count an e-mail that a visitor requests, for the client and for the recipient.

        Raises:
            TooManyRequests: A limit is reached.
        """
        await self.limiter.hit(EMAILS_PER_IP.by(self.client.address), EMAILS_PER_RECIPIENT.by(email))

    async def is_first_use(self, hit: Hit) -> bool:
        """Count the use of a code or token that is valid once. Return whether this is its first use."""
        try:
            await self.limiter.hit(hit)
        except TooManyRequests:
            return False
        return True

    async def request_email(self, email: str, call: JobCall[...]) -> None:
        """Queue a job that sends an e-mail, if the site sends e-mails.

        Raises:
            TooManyRequests: A limit is reached.
        """
        await self.count_email(email)
        if email_is_enabled(self.settings):
            defer(self.session, call)
