"""Processes of a site that die while they do a job."""

import asyncio
import signal
from datetime import timedelta

from opportune.db.factory import open_database
from opportune.jobs import store
from opportune.jobs.service import DatabaseJobQueue
from opportune.settings import Settings
from opportune.storage import open_storage
from tests.opportune.forked import PROCESSES
from tests.opportune.jobs.tasks import TASKS


def die_at_work(settings: Settings) -> None:
    """Do what is queued in a process that is killed in the midst of it."""
    process = PROCESSES.Process(target=_work, args=(settings,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _work(settings: Settings) -> None:
    store.LEASE_DURATION = timedelta(0)  # taken for dead as soon as it is
    asyncio.run(_drain(settings))


async def _drain(settings: Settings) -> None:
    database = open_database(settings)
    await DatabaseJobQueue(settings, database, open_storage(settings), TASKS).worker.drain()
