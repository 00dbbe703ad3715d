"""One way to count, wherever the counts are."""

from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Protocol

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.web.rate_limit.limit import Hit


class RateLimitStorage(Protocol):
    """A place where counts are kept."""

    async def hit(self, *hits: Hit) -> None:
        """Count all of these or none. Raises TooManyRequests."""

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        """Have these not counted; if the counts are in the database, in the transaction of `session`."""

    async def close(self) -> None: ...


class RateLimiter:
    """Counts each limit in its storage. At `app.state.rate_limiter`."""

    def __init__(self, storages: Mapping[str, RateLimitStorage]) -> None:
        self._storages = storages

    async def hit(self, *hits: Hit) -> None:
        """Count all of these, before the work that they are about: guesses at once do not slip past.

        In the database this is a transaction of its own, which stays whatever comes of the request. A session of the
        request that has written must have ended its transaction: SQLite knows one writer.

        Raises:
            TooManyRequests: one of them was one too many, and the work is not to be done. None of those in the same
                storage has been counted.
        """
        for storage, some in groupby(hits, lambda each: each.rate_limit.storage):
            await self._storages[storage].hit(*some)

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        """Have these not counted: they were no guesses. Counts in the database change with the session's commit."""
        for storage, some in groupby(hits, lambda each: each.rate_limit.storage):
            await self._storages[storage].refund(session, *some)

    async def close(self) -> None:
        for storage in self._storages.values():
            await storage.close()


async def get_rate_limiter(request: Request) -> RateLimiter:
    limiter: RateLimiter = request.app.state.rate_limiter
    return limiter


Limiter = Annotated[RateLimiter, Depends(get_rate_limiter)]
