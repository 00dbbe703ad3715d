"""The network of a web machine loses all packets, but no connection is closed."""

import asyncio
from dataclasses import dataclass

import pytest

from tests.opportune.many.conftest import Site
from tests.opportune.many.load import FAILURE_SECONDS, Load, full_form_only, load, timed_post

MAX_SILENT_SECONDS = 10.0
"""Sum of three limits: 4.5 s to wait for the pool, 1.5 s to check an idle connection, and 4 s to connect."""
IDLE_SECONDS = 1.5
"""Pause after which a connection is checked before its next use."""

pytestmark = [full_form_only, pytest.mark.usefixtures("complete_site")]


@dataclass
class Silence:
    """Statuses and durations of requests to the machine."""

    load: Load
    first: list[tuple[int, float]]
    """Requests on idle connections, which are checked and replaced."""
    later: list[tuple[int, float]]
    """Requests that need new connections."""
    status_after: int = 0


@pytest.fixture(scope="module")
async def silence(site: Site) -> Silence:
    machine = site.web[2]
    async with load(site, "silence") as current, machine.client() as client:
        assert (await timed_post(client, "silence-before"))[0] == 201
        site.balancer.drain(machine)
        await asyncio.sleep(IDLE_SECONDS)
        machine.lose_packets()
        site.balancer.resume(machine)
        first = await asyncio.gather(*(timed_post(client, f"silent-{number}") for number in range(3)))
        await asyncio.sleep(FAILURE_SECONDS)
        later = await asyncio.gather(*(timed_post(client, f"silent-later-{number}") for number in range(3)))
        await machine.reconnect()
        await machine.wait_until_ready()
        silence = Silence(current, first, later)
        silence.status_after, _ = await timed_post(client, "silence-after")
    return silence


async def test_requests_of_silent_machine_are_503(silence: Silence) -> None:
    assert {status for status, _ in [*silence.first, *silence.later]} == {503}


async def test_requests_of_silent_machine_end_in_time(silence: Silence) -> None:
    assert max(seconds for _, seconds in [*silence.first, *silence.later]) < MAX_SILENT_SECONDS


async def test_balanced_requests_fail_in_time(silence: Silence) -> None:
    assert set(silence.load.errors) <= {"503"}
    assert silence.load.slowest_error_seconds < MAX_SILENT_SECONDS


async def test_silent_machine_recovers(silence: Silence) -> None:
    assert silence.status_after == 201
