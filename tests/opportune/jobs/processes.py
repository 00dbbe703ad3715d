"""Worker processes of a site."""

import asyncio
import logging
import tempfile
from datetime import timedelta
from pathlib import Path

from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.jobs import lease_keeper, leases, worker
from tests.opportune.forked import PROCESSES
from tests.opportune.jobs.tasks import TASKS, job_queue

SHORT_LEASE = timedelta(seconds=2.5)
"""Lease that a job soon outlives, with time for several renewals on a busy machine."""


def work_in_process(settings: Settings, max_parallel_jobs: int | None = None) -> int | None:
    """Run queued jobs in a process, and return its exit code. With `max_parallel_jobs`, it claims more jobs early."""
    process = PROCESSES.Process(target=_work, args=(settings, max_parallel_jobs))
    process.start()
    process.join(60)
    return process.exitcode


def _work(settings: Settings, max_parallel_jobs: int | None) -> None:
    leases.LEASE_DURATION = timedelta(0)  # leases expire immediately
    if max_parallel_jobs:
        worker.PREFETCH_SECONDS = 1_000_000
    asyncio.run(_drain(settings, max_parallel_jobs))


async def _drain(settings: Settings, max_parallel_jobs: int | None) -> None:
    database = open_database(settings)
    site = job_queue(settings, database, TASKS)
    site.worker.concurrency = max_parallel_jobs or site.worker.concurrency
    await site.worker.drain()


def work_on_machine(settings: Settings, machine: Path) -> None:
    """Run jobs with short leases until killed. The folder `machine` holds the temporary files and the log."""
    tempfile.tempdir = str(machine)
    logging.basicConfig(filename=machine / "log", level=logging.WARNING)
    leases.LEASE_DURATION = SHORT_LEASE
    lease_keeper.LEASE_RENEWAL_SECONDS = 0.3
    lease_keeper.THREAD_RENEWAL_SECONDS = 0.5
    lease_keeper.CHECK_INTERVAL_SECONDS = 0.05
    asyncio.run(_poll(settings))


async def _poll(settings: Settings) -> None:
    database = open_database(settings)
    await job_queue(settings, database, TASKS).worker.work(poll=0.05)
