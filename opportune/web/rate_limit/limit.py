"""A limit, what counts for it, and the refusal of one too many."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fastapi import HTTPException, Request

from opportune.web.client import client_address

HOUR_SECONDS = 3600


class TooManyRequests(HTTPException):
    """One too many, which is answered with 429 and `Retry-After`; its `detail` is a sentence for a form."""

    def __init__(self, seconds: int) -> None:
        sentence = f"That was too often. Try again in {_in_words(seconds)}."
        super().__init__(429, sentence, {"Retry-After": str(seconds)})


@dataclass(eq=False)
class RateLimit:
    """How often each may do an action in a span of time; as `Depends(…)` of a route, each address."""

    action: str
    """Names the counts: `books.order`."""
    limit: int
    seconds: int = 300
    storage: Literal["database", "cache"] = "database"
    """database: for all processes, over restarts, by a write. cache: in CACHE_URL's Redis, else in this process."""

    def by(self, who: object) -> "Hit":
        """One more of this user, address or whatever else is counted."""
        return Hit(self, str(who))

    async def __call__(self, request: Request) -> None:
        """Count this address. Raises TooManyRequests."""
        await request.app.state.rate_limiter.hit(self.by(client_address(request)))


def _in_words(seconds: int) -> str:
    for unit, name in ((HOUR_SECONDS, "hours"), (60, "minutes")):
        if seconds > 1.5 * unit:
            return f"{math.ceil(seconds / unit)} {name}"
    return "a second" if seconds == 1 else f"{seconds} seconds"


class Hit(NamedTuple):
    """Something to be counted: which limit it is for, and whose it is."""

    rate_limit: RateLimit
    who: str
