"""The rate limiter, which counts in the database or the cache."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import groupby
from typing import Annotated, Protocol
from weakref import WeakValueDictionary

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.web.rate_limit.limit import Hit


class RateLimitStorage(Protocol):
    """A place where counts are kept."""

    async def hit(self, *hits: Hit) -> None:
        """Count all of these or none. Raises TooManyRequests."""

    async def check(self, *hits: Hit) -> None:
        """Raise TooManyRequests if one of these limits is used up. Count nothing."""

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        """Have these not counted; if the counts are in the database, in the transaction of `session`."""

    async def close(self) -> None: ...


class RateLimiter:
    """Counts each limit in its storage. At `app.state.rate_limiter`."""

    def __init__(self, storages: Mapping[str, RateLimitStorage]) -> None:
        self._storages = storages
        self._locks: WeakValueDictionary[Hit, asyncio.Lock] = WeakValueDictionary()

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

    async def check(self, *hits: Hit) -> None:
        """Raise TooManyRequests if one of these limits is used up. Count nothing.

        For attempts that count only if they fail: inside `one_at_a_time`, check before the work and `hit` after a
        failure. Any number may then succeed at the same time. Check again after a success: another process may have
        counted failures.
        """
        for storage, some in groupby(hits, lambda each: each.rate_limit.storage):
            await self._storages[storage].check(*some)

    @asynccontextmanager
    async def one_at_a_time(self, *hits: Hit) -> AsyncIterator[None]:
        """Wait until no other request of this process works on something that counts for the same."""
        async with AsyncExitStack() as stack:
            for each in sorted(hits, key=lambda each: (each.rate_limit.action, each.who)):
                await stack.enter_async_context(self._locks.setdefault(each, asyncio.Lock()))
            yield

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
