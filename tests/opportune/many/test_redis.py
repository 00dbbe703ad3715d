"""Redis is away or full under load: the site continues and reports it, and shares limits and pages again afterwards."""

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.opportune.many.conftest import Site
from tests.opportune.many.ledger import MAX_HITS
from tests.opportune.many.load import FAILURE_SECONDS, MAX_ERROR_SECONDS, Load, full_form_only, load
from tests.opportune.many.probes import built_at, hit_limit, shared_build, wait_for_shared_limits

RECOVERY_SECONDS = 180.0
PAGE_FAILURE = "the cache at redis://"
LIMIT_FAILURE = "rate limits are counted in this process"

pytestmark = [full_form_only, pytest.mark.usefixtures("complete_site")]


@dataclass
class Outage:
    """Observations during an outage of Redis."""

    name: str
    load: Load
    built_before: float
    built_after_clear: list[float] = field(default_factory=list)
    """Builds of the page that machines serve after another one has cleared it."""
    limited: list[Counter[int]] = field(default_factory=list)
    """Statuses of a limited route, by machine."""
    slowest_seconds: float = 0.0
    """Duration of the slowest cached or limited request."""
    logs: list[str] = field(default_factory=list)
    """New log lines of each web machine."""


@pytest.fixture(scope="module", params=["away", "full"])
async def outage(site: Site, request: pytest.FixtureRequest) -> Outage:
    redis, name = site.redis, request.param
    fail, recover = (redis.stop, redis.start) if name == "away" else (redis.fill, redis.empty)
    await connect_all(site, f"{name}-before")
    ends = [len(machine.log) for machine in site.web]
    async with load(site, f"redis-{name}") as current:
        outage = Outage(name, current, await built_at(site.web[0]))
        fail()
        await observe(site, outage)
        recover()
        await wait_until_shared(site)
    outage.logs = [machine.log[end:] for machine, end in zip(site.web, ends, strict=True)]
    return outage


async def connect_all(site: Site, subject: str) -> None:
    """Let each process connect to Redis."""
    for machine in site.web:
        await hit_limit(machine.url, subject)
        await built_at(machine)


async def observe(site: Site, outage: Outage) -> None:
    async with site.web[0].client() as client:
        assert (await client.post("/api/v1/ledger/clear")).status_code == 204
    outage.built_after_clear = [await built_at(machine) for machine in site.web]
    outage.limited = [await hit_limit(machine.url, f"{outage.name}-during", MAX_HITS + 1) for machine in site.web]
    end = time.monotonic() + FAILURE_SECONDS
    for number in itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
        machine, start = site.web[number % len(site.web)], time.monotonic()
        await hit_limit(machine.url, f"{outage.name}-{number}")
        await built_at(machine)
        outage.slowest_seconds = max(outage.slowest_seconds, time.monotonic() - start)


async def wait_until_shared(site: Site) -> None:
    """Wait until all machines serve the same build, and then count the same limits."""
    async with asyncio.timeout(RECOVERY_SECONDS):
        await shared_build(site.web)
        await wait_for_shared_limits(site.web, "recovered")
    for machine in site.web:  # a process logs that a full Redis is available again when it stores a page
        await built_at(machine, f"{machine.name}.example")


async def test_no_write_fails(outage: Outage) -> None:
    assert not outage.load.errors


async def test_pages_and_limits_respond_in_time(outage: Outage) -> None:
    assert outage.slowest_seconds < MAX_ERROR_SECONDS


async def test_cleared_page_is_not_served(outage: Outage) -> None:
    assert outage.built_before not in outage.built_after_clear


async def test_each_machine_limits_requests(outage: Outage) -> None:
    assert outage.limited == [{200: MAX_HITS, 429: 1}] * 3


@pytest.mark.parametrize("message", [PAGE_FAILURE, LIMIT_FAILURE])
async def test_failure_is_logged_once(outage: Outage, message: str) -> None:
    lines = [[line for line in log.splitlines() if message in line and "unavailable" in line] for log in outage.logs]
    assert [len(lines_of_machine) for lines_of_machine in lines] == [1, 1, 1], lines


@pytest.mark.parametrize("message", ["the cache at", "Redis at CACHE_URL"])
async def test_recovery_is_logged(outage: Outage, message: str) -> None:
    for log in outage.logs:
        assert [line for line in log.splitlines() if message in line and "is available again" in line]
