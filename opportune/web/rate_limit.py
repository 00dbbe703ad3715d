"""How often somebody may do something, counted by the library `limits`: in Redis for all processes, else in memory."""

import asyncio
import hashlib
import logging
import math
import time
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import islice
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request

from opportune.settings import Settings

if TYPE_CHECKING:
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import FixedWindowRateLimiter

logger = logging.getLogger(__name__)

MAX_COUNTERS_IN_MEMORY = 10_000
"""Counts kept in memory; beyond them the oldest are forgotten."""
REDIS_TIMEOUT_SECONDS = 0.5
"""Seconds to wait for Redis."""


class TooManyRequests(HTTPException):
    """Answered with 429 and `Retry-After`; its `detail` is a sentence for a form."""

    def __init__(self, seconds: int) -> None:
        time_left = f"{math.ceil(seconds / 60)} minutes" if seconds > 90 else f"{seconds} seconds"
        super().__init__(429, f"That was too often. Try again in {time_left}.", {"Retry-After": str(seconds)})


class RateLimiter:
    """At `app.state.throttle`. Nothing is imported or opened before something is counted."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.cache_url.get_secret_value().strip()
        self._opening = asyncio.Lock()
        self._memory: MemoryStorage | None = None
        self._limiters: list[FixedWindowRateLimiter] = []

    async def hit(self, action: str, who: str, *, most: int, seconds: int) -> None:
        """Count one of `most` that are allowed in so many seconds.

        Raises:
            TooMany: it was one too many, and is not to be done.
        """
        async with self._opening:
            if not self._limiters:
                await asyncio.to_thread(self._open)
        from limits import RateLimitItemPerSecond  # noqa: PLC0415 - 0.1 s, for the first one who is counted
        from limits.errors import StorageError  # noqa: PLC0415 - as above

        # Not the address itself: Redis is no place for people's data.
        key = action, hashlib.sha256(who.encode()).hexdigest()[:32]
        rule = RateLimitItemPerSecond(most, seconds)
        for limiter in self._limiters:
            try:
                await self._forget_the_oldest()
                if await limiter.hit(rule, *key):
                    return
                reset = (await limiter.get_window_stats(rule, *key)).reset_time
            except StorageError:
                logger.warning("Redis at CACHE_URL does not answer: this process counts by itself.")
                continue
            raise TooManyRequests(max(1, math.ceil(reset - time.time())))

    async def close(self) -> None:
        for limiter in self._limiters:
            storage: Any = limiter.storage
            if storage is not self._memory:
                await storage.bridge.get_connection().aclose()

    def _open(self) -> None:
        from limits.aio.storage import MemoryStorage, RedisStorage  # noqa: PLC0415 - 0.1 s: see above
        from limits.aio.strategies import FixedWindowRateLimiter  # noqa: PLC0415 - as above

        self._memory = MemoryStorage()
        storages: list[MemoryStorage | RedisStorage] = [self._memory]
        if self._url.startswith("redis"):
            waits: dict[str, Any] = {
                "socket_timeout": REDIS_TIMEOUT_SECONDS,
                "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            }
            shared = RedisStorage(f"async+{self._url}", implementation="redispy", wrap_exceptions=True, **waits)
            storages.insert(0, shared)
        self._limiters = [FixedWindowRateLimiter(storage) for storage in storages]

    async def _forget_the_oldest(self) -> None:
        assert self._memory is not None  # noqa: S101 - opened with the limiters
        kept = self._memory.expirations
        for key in list(islice(kept, max(0, len(kept) - MAX_COUNTERS_IN_MEMORY + 1))):
            await self._memory.clear(key)


def client_address(request: Request) -> str:
    """Who sends this, behind trusted proxies. Of IPv6 the network, in which one visitor has all addresses."""
    peer = request.client.host if request.client else ""
    for host in (_told(request), peer):
        with suppress(ValueError):  # what a visitor made up, a Unix socket's, or a test's
            return _visitor(ip_address(host))
    return peer


def _visitor(address: IPv4Address | IPv6Address) -> str:
    if address.version == 4:
        return str(address)
    # One that listens on both kinds sees those of IPv4 so, all of them in one network.
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def _told(request: Request) -> str:
    """What the host's proxy says, which comes last if a visitor has sent the header, too."""
    header = request.app.state.settings.client_address_header
    values = request.headers.getlist(header) if header else []
    return values[-1].rpartition(",")[2].strip() if values else ""
