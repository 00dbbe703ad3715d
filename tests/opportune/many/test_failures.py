"""Writes while machines and services fail: acknowledged entries exist once, and so do the entries of their jobs.

MANY=full repeats each failure under more load, and freezes machines for 30 seconds.
"""

import asyncio
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.opportune.many.conftest import Site
from tests.opportune.many.machines import Machine

IS_FULL = os.environ.get("MANY") == "full"
CLIENTS = 12 if IS_FULL else 3
FAILURE_SECONDS = 30.0 if IS_FULL else 3.0
REPETITIONS = 3 if IS_FULL else 1
MAX_ERROR_SECONDS = 5.0
"""A request that fails must end within this time."""
COPY_SECONDS = 90.0
"""Time for all jobs to end, including those of machines that died."""
PAUSE_SECONDS = 0.05


@dataclass
class Load:
    """Clients that add entries through the balancer, each with a new key."""

    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    slowest_error_seconds: float = 0.0

    async def send(self, client: httpx.AsyncClient, key: str) -> None:
        self.sent.append(key)
        start = time.monotonic()
        try:
            status = (await client.post(f"/api/v1/ledger/entries/{key}")).status_code
        except httpx.HTTPError as error:
            outcome = type(error).__name__
        else:
            if status == 201:
                self.acknowledged.append(key)
                return
            outcome = str(status)
        self.errors[outcome] += 1
        self.slowest_error_seconds = max(self.slowest_error_seconds, time.monotonic() - start)


@asynccontextmanager
async def load(site: Site, name: str) -> AsyncIterator[Load]:
    """Add entries during the block, then check that those that were acknowledged exist."""
    current, numbers = Load(), itertools.count()

    async def add_entries() -> None:
        headers = {"Connection": "close"}  # each request takes another machine
        async with httpx.AsyncClient(base_url=site.balanced_url, headers=headers, timeout=60) as client:
            while True:
                await current.send(client, f"{name}-{next(numbers)}")
                await asyncio.sleep(PAUSE_SECONDS)

    tasks = [asyncio.create_task(add_entries()) for _ in range(CLIENTS)]
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


@pytest.fixture(scope="module", autouse=True)
async def complete_site(site: Site) -> AsyncIterator[None]:
    """Check after all failures that each entry and its job were written once. Dead workers' leases have ended then."""
    yield
    deadline = time.monotonic() + COPY_SECONDS
    while without_copy(counts := Counter(await asyncio.to_thread(site.read_keys))) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    assert not without_copy(counts)
    assert not {key: count for key, count in counts.items() if count > 1}


def without_copy(counts: Counter[str]) -> list[str]:
    """Return the entries whose job has not ended."""
    return [key for key in counts if "copy of" not in key and "tick" not in key and not counts[f"copy of {key}"]]


async def test_killed_machines_lose_nothing(site: Site) -> None:
    async with load(site, "kill") as current:
        for web, worker in list(zip(site.web, site.workers, strict=False))[:REPETITIONS]:
            web.kill()
            worker.kill()
            await asyncio.sleep(FAILURE_SECONDS / 3)
            web.start()
            worker.start()
            await web.wait_until_ready()
    assert set(current.errors) <= {"503", "ReadError", "RemoteProtocolError", "ConnectError"}
    assert current.slowest_error_seconds < MAX_ERROR_SECONDS


async def test_cut_off_machine_responds_503_in_time(site: Site) -> None:
    machine = site.web[1]
    async with load(site, "cut"):
        await machine.cut_off()
        await site.workers[0].cut_off()
        statuses = [await timed_post(machine, number) for number in range(3)]
        await asyncio.sleep(FAILURE_SECONDS)
        machine.reconnect()
        site.workers[0].reconnect()
        await machine.wait_until_ready()
    assert {status for status, _ in statuses} == {503}
    assert max(seconds for _, seconds in statuses) < MAX_ERROR_SECONDS


async def timed_post(machine: Machine, number: int) -> tuple[int, float]:
    start = time.monotonic()
    async with machine.client() as client:
        status = (await client.post(f"/api/v1/ledger/entries/unreachable-{number}")).status_code
    return status, time.monotonic() - start


async def test_frozen_machines_write_nothing_twice(site: Site) -> None:
    frozen = [site.web[2], site.workers[1]]
    async with load(site, "freeze") as current:
        for machine in frozen:
            machine.signal(signal.SIGSTOP)
        # In the full form longer than a lease, so the other worker takes over the jobs of the frozen one.
        await asyncio.sleep(FAILURE_SECONDS)
        for machine in frozen:
            machine.signal(signal.SIGCONT)
        await frozen[0].wait_until_ready()
    assert set(current.errors) <= {"503"}


async def test_restart_of_postgresql_loses_nothing(site: Site) -> None:
    async with load(site, "restart") as current:
        await asyncio.to_thread(site.primary.stop)
        await asyncio.sleep(FAILURE_SECONDS / 3)
        await asyncio.to_thread(site.primary.start)
        await asyncio.gather(*(machine.wait_until_ready() for machine in site.web))
    assert set(current.errors) <= {"503"}
    assert current.slowest_error_seconds < MAX_ERROR_SECONDS


async def test_release_answers_every_request(site: Site) -> None:
    async with load(site, "release") as current:
        for machine in (*site.web, *site.workers) if IS_FULL else (site.web[0], site.workers[0]):
            if machine in site.web:
                site.balancer.drain(machine)
            await machine.stop()
            machine.start()
            if machine in site.web:
                await machine.wait_until_ready()
                site.balancer.resume(machine)
    assert not current.errors
