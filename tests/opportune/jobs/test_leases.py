"""Leases of jobs and their renewal."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from opportune.config.settings import Settings
from opportune.db import Database
from opportune.jobs.lease_keeper import LeaseKeeper
from opportune.jobs.models import JobState
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.forked import PROCESSES
from tests.opportune.jobs.conftest import TIMEOUT_SECONDS, Find, MakeQueue, expire_leases
from tests.opportune.jobs.processes import SHORT_LEASE, work_on_machine
from tests.opportune.jobs.tasks import block, register, wait
from tests.opportune.waiting import wait_until


@contextmanager
def workers(settings: Settings, *machines: Path) -> Iterator[None]:
    """Run one worker process in each folder."""
    processes = [PROCESSES.Process(target=work_on_machine, args=(settings, machine)) for machine in machines]
    for machine, process in zip(machines, processes, strict=True):
        machine.mkdir()
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


@pytest.mark.database("postgresql")
@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
async def test_blocking_job_runs_once_beside_a_second_worker(
    idle_queue: DatabaseJobQueue, settings: Settings, find: Find, tmp_path: Path
) -> None:
    machines = tmp_path / "one", tmp_path / "two"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    job_id = await idle_queue.enqueue(block(str(pipe)))

    async def outlives_its_lease() -> bool:
        job = await find(job_id)
        return bool(job.started_at and job.lease_until and job.lease_until > job.started_at + 2 * SHORT_LEASE)

    async def is_reported() -> bool:
        logs = "".join((machine / "log").read_text() for machine in machines)
        return f"Job test.block {job_id} at " in logs and "blocked the event loop for" in logs and "to_thread" in logs

    with workers(settings, *machines):
        await wait_until(outlives_its_lease)
        other_job_id = await idle_queue.enqueue(register("ann@example.com"))  # only the second worker is free
        assert await asyncio.wait_for(idle_queue.wait_until_ended(other_job_id), TIMEOUT_SECONDS) == JobState.DONE
        await asyncio.to_thread(pipe.write_text, "")
        assert await asyncio.wait_for(idle_queue.wait_until_ended(job_id), TIMEOUT_SECONDS) == JobState.DONE
        assert (await find(job_id)).attempt == 1
        assert await asyncio.to_thread(Path(f"{pipe}.runs").read_text) == "run\n"
        await wait_until(is_reported)


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
async def test_job_of_a_living_process_is_not_claimed(make_queue: MakeQueue, database: Database) -> None:
    owner, other = make_queue().worker.store, make_queue().worker.store
    await make_queue().enqueue(wait())
    assert await owner.claim(9)
    await expire_leases(database)
    due_id = await make_queue().enqueue(register("ann@example.com"))
    assert [str(job.id) for job in await other.claim(1)] == [due_id]
    owner.lock.release()
    assert [job.name for job in await other.claim(9)] == [wait.name]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.usefixtures("separate_machines")
async def test_backlog_does_not_delay_a_takeover(make_queue: MakeQueue, database: Database) -> None:
    dead, other, site = make_queue().worker.store, make_queue().worker.store, make_queue()
    await site.enqueue(wait())
    assert await dead.claim(9)
    await expire_leases(database)
    for number in range(2):
        await site.enqueue(register(f"{number}@example.com"))
    assert [job.name for job in await other.claim(1)] == [wait.name]


@pytest.mark.database("postgresql")
@pytest.mark.usefixtures("separate_machines")
async def test_wrong_clock_claims_no_running_job(make_queue: MakeQueue, set_wrong_clock: Callable[[], None]) -> None:
    owner, other = make_queue().worker.store, make_queue().worker.store
    await make_queue().enqueue(wait())
    assert len(await owner.claim(9)) == 1
    set_wrong_clock()
    assert await other.claim(9) == []
    assert 0 < (await other.seconds_to_next() or 0) < 60


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.usefixtures("separate_machines")
async def test_leases_are_renewed_from_a_thread(make_queue: MakeQueue, database: Database) -> None:
    owner, other = make_queue().worker.store, make_queue().worker.store
    await make_queue().enqueue(wait())
    claimed = await owner.claim(9)
    await expire_leases(database)
    await asyncio.to_thread(owner.renew_from_thread, claimed)
    assert await other.claim(9) == []


async def test_failed_renewal_is_logged(idle_queue: DatabaseJobQueue, caplog: pytest.LogCaptureFixture) -> None:
    renewal = Mock(
        database=idle_queue.database, renew_from_thread=Mock(side_effect=sqlite3.OperationalError("is locked"))
    )
    LeaseKeeper(renewal, {})._renew([Mock()])
    assert "The leases of running jobs could not be renewed: " in caplog.text
