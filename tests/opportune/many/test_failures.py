"""Writes while machines and services fail: acknowledged entries exist once, and so do the entries of their jobs."""

import asyncio
import signal

import pytest

from tests.opportune.many.conftest import Site
from tests.opportune.many.load import FAILURE_SECONDS, MAX_ERROR_SECONDS, load, timed_post

pytestmark = pytest.mark.usefixtures("complete_site")


async def test_killed_machines_lose_nothing(site: Site) -> None:
    async with load(site, "kill") as current:
        web, worker = site.web[0], site.workers[0]
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
        machine.cut_off()
        site.workers[0].cut_off()
        async with machine.client() as client:
            statuses = [await timed_post(client, f"unreachable-{number}") for number in range(3)]
        await asyncio.sleep(FAILURE_SECONDS)
        await machine.reconnect()
        await site.workers[0].reconnect()
        await machine.wait_until_ready()
    assert {status for status, _ in statuses} == {503}
    assert max(seconds for _, seconds in statuses) < MAX_ERROR_SECONDS


async def test_frozen_machines_write_nothing_twice(site: Site) -> None:
    frozen = [site.web[2], site.workers[1]]
    async with load(site, "freeze") as current:
        for machine in frozen:
            machine.signal(signal.SIGSTOP)
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
