"""Rate limits, and the limiter with counters in the database or the cache.

    ORDERS = RateLimit("books.order", 60, HOUR_SECONDS)

`Depends(ORDERS)` counts the requests of each client address. `await limiter.hit(ORDERS.by(user.id))` counts a user.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Protocol, cast
from weakref import WeakValueDictionary

from fastapi import Depends, HTTPException, Request
from pydantic import PositiveInt
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.sessions.dependencies import on_site
from opportune.errors.arguments import strict
from opportune.i18n import gettext as _
from opportune.i18n import ngettext
from opportune.web.client import client_address

MINUTE_SECONDS, HOUR_SECONDS = 60, 3600


class TooManyRequests(HTTPException):
    """A rate limit is exceeded: status 429 with `Retry-After`. `detail` is a sentence for users."""

    def __init__(self, seconds: int) -> None:
        detail = _("That was too often. Try again in %(duration)s.", duration=_format_seconds(seconds))
        super().__init__(429, detail, {"Retry-After": str(seconds)})


@strict
@dataclass(eq=False)
class RateLimit:
    """Limit for an action, per subject and time span. `Depends(limit)` limits each client address of a route."""

    action: str
    """Name of the counters, such as `books.order`."""
    limit: PositiveInt
    seconds: PositiveInt = 300
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
        await (await get_rate_limiter(request)).hit(self.by(client_address(request)))


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
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def hit(self, *hits: Hit) -> None:
        """Count hits before the limited work, so that parallel attempts cannot exceed the limit.

        Counters in the database have a separate transaction, which stays committed if the request fails. Commit a
        session with changes before this call, because SQLite allows one writer.

        Raises:
            TooManyRequests: A limit is exceeded. No hit of the same storage was counted.
        """
        for storage, hits_of_storage in self._by_storage(hits):
            await storage.hit(*hits_of_storage)

    async def check(self, *hits: Hit) -> None:
        """Raise TooManyRequests if one of these limits is used up. Count nothing.

        Use this for attempts that count only if they fail, such as sign-ins. Inside `one_at_a_time`, check before the
        work, and `hit` after a failure. Also check after a success, because another process may have counted failures.
        """
        for storage, hits_of_storage in self._by_storage(hits):
            await storage.check(*hits_of_storage)

    @asynccontextmanager
    async def one_at_a_time(self, *hits: Hit) -> AsyncIterator[None]:
        """Hold a lock for each hit, so that requests of this process with the same hits run one after the other."""
        async with AsyncExitStack() as stack:
            for key in sorted({(hit.rate_limit.action, hit.subject) for hit in hits}):  # one order, so no deadlock
                await stack.enter_async_context(self._locks.setdefault(key, asyncio.Lock()))
            yield

    async def refund(self, session: AsyncSession, *hits: Hit) -> None:
        """Undo these hits. Counters in the database change when the session commits."""
        for storage, hits_of_storage in self._by_storage(hits):
            await storage.refund(session, *hits_of_storage)

    def _by_storage(self, hits: Sequence[Hit]) -> Iterator[tuple[RateLimitStorage, list[Hit]]]:
        for name, storage in self._storages.items():
            if hits_of_storage := [hit for hit in hits if hit.rate_limit.storage == name]:
                yield storage, hits_of_storage

    async def close(self) -> None:
        for storage in self._storages.values():
            await storage.close()


async def get_rate_limiter(request: Request) -> RateLimiter:
    return cast("RateLimiter", on_site(request).app.state.rate_limiter)


Limiter = Annotated[RateLimiter, Depends(get_rate_limiter)]
