"""Rate limiter with counters in the database or the cache."""

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
    """Storage of counters."""

    async def hit(self, *hits: Hit) -> None:
        """Count all hits, or raise TooManyRequests and count none."""

    async def check(self, *hits: Hit) -> None:
        """Raise TooManyRequests if one of these limits is used up. Count nothing."""

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        """Undo these hits, in the transaction of `session` if the counters are in the database."""

    async def close(self) -> None: ...


class RateLimiter:
    """Counts hits in the storage of their limit. Available as `app.state.rate_limiter`."""

    def __init__(self, storages: Mapping[str, RateLimitStorage]) -> None:
        self._storages = storages
        self._locks: WeakValueDictionary[Hit, asyncio.Lock] = WeakValueDictionary()

    async def hit(self, *hits: Hit) -> None:
        """Count hits before the limited work, so that parallel attempts cannot exceed the limit.

        Counters in the database have a separate transaction, which stays committed if the request fails. Commit a
        session with changes before this call, because SQLite allows one writer.

        Raises:
            TooManyRequests: A limit is exceeded. No hit of the same storage was counted.
        """
        for storage, group in groupby(hits, lambda hit: hit.rate_limit.storage):
            await self._storages[storage].hit(*group)

    async def check(self, *hits: Hit) -> None:
        """Raise TooManyRequests if one of these limits is used up. Count nothing.

        Use this for attempts that count only if they fail, such as sign-ins. Inside `one_at_a_time`, check before the
        work, and `hit` after a failure. Also check after a success, because another process may have counted failures.
        """
        for storage, group in groupby(hits, lambda hit: hit.rate_limit.storage):
            await self._storages[storage].check(*group)

    @asynccontextmanager
    async def one_at_a_time(self, *hits: Hit) -> AsyncIterator[None]:
        """Hold a lock for each hit, so that requests of this process with the same hits run one after the other."""
        async with AsyncExitStack() as stack:
            for hit in sorted(hits, key=lambda hit: (hit.rate_limit.action, hit.subject)):
                await stack.enter_async_context(self._locks.setdefault(hit, asyncio.Lock()))
            yield

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        """Undo these hits. Counters in the database change when the session commits."""
        for storage, group in groupby(hits, lambda hit: hit.rate_limit.storage):
            await self._storages[storage].refund(session, *group)

    async def close(self) -> None:
        for storage in self._storages.values():
            await storage.close()


async def get_rate_limiter(request: Request) -> RateLimiter:
    limiter: RateLimiter = request.app.state.rate_limiter
    return limiter


Limiter = Annotated[RateLimiter, Depends(get_rate_limiter)]
