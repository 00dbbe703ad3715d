"""Rate limits, hits and the error 429."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fastapi import HTTPException, Request

from opportune.i18n import gettext as _
from opportune.i18n import ngettext
from opportune.web.client import client_address

MINUTE_SECONDS, HOUR_SECONDS = 60, 3600


class TooManyRequests(HTTPException):
    """A rate limit is exceeded: status 429 with `Retry-After`. `detail` is a sentence for users."""

    def __init__(self, seconds: int) -> None:
        detail = _("That was too often. Try again in %(duration)s.", duration=_format_seconds(seconds))
        super().__init__(429, detail, {"Retry-After": str(seconds)})


@dataclass(eq=False)
class RateLimit:
    """Limit for an action, per subject and time span. `Depends(limit)` limits each client address of a route."""

    action: str
    """Name of the counters, such as `books.order`."""
    limit: int
    seconds: int = 300
    storage: Literal["database", "cache"] = "database"
    """Storage of the counters: `database` survives restarts; `cache` is Redis, or PostgreSQL, or else this process."""

    def by(self, subject: object) -> "Hit":
        """Return a hit of a user id, an address or another subject."""
        return Hit(self, str(subject))

    async def __call__(self, request: Request) -> None:
        """Count a request of this address.

        Raises:
            TooManyRequests: The limit is exceeded.
        """
        await request.app.state.rate_limiter.hit(self.by(client_address(request)))


def _format_seconds(seconds: int) -> str:
    if seconds > 1.5 * HOUR_SECONDS:
        return ngettext("%(num)s hour", "%(num)s hours", math.ceil(seconds / HOUR_SECONDS))
    if seconds > 1.5 * MINUTE_SECONDS:
        return ngettext("%(num)s minute", "%(num)s minutes", math.ceil(seconds / MINUTE_SECONDS))
    return ngettext("%(num)s second", "%(num)s seconds", seconds)


class Hit(NamedTuple):
    """One use of a rate limit by a subject."""

    rate_limit: RateLimit
    subject: str
