"""Clients that write while a test lets machines and services fail."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from tests.opportune.many.conftest import Site

FAILURE_SECONDS = 3.0
MAX_ERROR_SECONDS = 5.0
"""A request that fails must end within this time."""
PAUSE_SECONDS = 0.15
ENTRIES_PATH = "/api/v1/ledger/entries"


@dataclass
class Load:
    """Clients that add entries through the balancer, each with a new key."""

    path: str = ENTRIES_PATH
    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    slowest_error_seconds: float = 0.0

    async def send(self, client: httpx2.AsyncClient, key: str) -> None:
        self.sent.append(key)
        start = time.monotonic()
        try:
            status = (await client.post(f"{self.path}/{key}")).status_code
        except httpx2.HTTPError as error:
            outcome = type(error).__name__
        else:
            if status == 201:
                self.acknowledged.append(key)
                return
            outcome = str(status)
        self.errors[outcome] += 1
        self.slowest_error_seconds = max(self.slowest_error_seconds, time.monotonic() - start)


@asynccontextmanager
async def load(site: Site, name: str, path: str = ENTRIES_PATH) -> AsyncIterator[Load]:
    """Add entries during the block, then check that those that were acknowledged exist."""
    current, numbers = Load(path), itertools.count()

    async def add_entries() -> None:
        headers = {"Connection": "close"}  # each request takes another machine
        async with httpx2.AsyncClient(base_url=site.balanced_url, headers=headers, timeout=60) as client:
            while True:
                await current.send(client, f"{name}-{next(numbers)}")
                await asyncio.sleep(PAUSE_SECONDS)

    tasks = [asyncio.create_task(add_entries()) for _ in range(3)]
    try:
        await asyncio.sleep(1)
        yield current
        await asyncio.sleep(1)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert current.acknowledged
    counts = Counter(await asyncio.to_thread(site.read_keys))
    assert not [key for key in current.acknowledged if key not in counts]


async def timed_post(client: httpx2.AsyncClient, key: str) -> tuple[int, float]:
    start = time.monotonic()
    status = (await client.post(f"{ENTRIES_PATH}/{key}")).status_code
    return status, time.monotonic() - start
