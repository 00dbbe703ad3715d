"""The numbers of a site when it is asked: of this process, and what the database knows of all of them."""

import platform
import time
from collections.abc import AsyncIterator, Iterator

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import State

from opportune import __version__
from opportune.db.database import Database
from opportune.db.drivers.pool import Pool
from opportune.db.models.model import utc_now
from opportune.jobs import management
from opportune.jobs.models import Job, JobState, LastRun
from opportune.ops.telemetry.metrics.families import Family, Sample, gauge
from opportune.ops.telemetry.process import STARTED_AT, resident_memory_bytes
from opportune.runtime.timeouts import run_with_timeout
from opportune.server.connections.limits import ConnectionLimits

DATABASE_TIMEOUT_SECONDS = 4
"""Seconds for what only the database knows: without it the rest is told in time."""


def of_process(state: State) -> Iterator[Family]:
    """What each worker tells for itself."""
    yield gauge("process_start_time_seconds", "When the process began, in seconds since 1970.", STARTED_AT)
    yield gauge("process_resident_memory_bytes", "Resident memory.", resident_memory_bytes())
    yield gauge("process_cpu_seconds_total", "Processor time.", time.process_time(), "counter")
    yield gauge("http_connections_open", "Connections of browsers, programs and proxies.", len(ConnectionLimits.opened))
    yield from _of_pools(state.database)
    if state.telemetry.metrics:
        yield from state.telemetry.metrics.families()


def _of_pools(database: Database) -> Iterator[Family]:
    used = Family("opportune_database_connections_in_use", "gauge", "Connections that somebody works with.")
    room = Family("opportune_database_connections_max", "gauge", "Connections that there can be.")
    waiting = Family("opportune_database_waiting", "gauge", "Who waits for a connection.")
    engines = {"writer": database.engine, "reader": database.reading_engine}
    if database.replica:
        engines["replica"] = database.replica.engine
    for name, engine in engines.items():
        pool = engine.sync_engine.pool
        if isinstance(pool, Pool):
            labels = {"pool": name}
            used.samples.append(("", labels, pool.checkedout()))
            room.samples.append(("", labels, pool.max_connections))
            waiting.samples.append(("", labels, pool.waiting))
    yield from (used, room, waiting)


async def of_site(state: State) -> list[Family]:
    """What all processes share, told once."""
    labels = {"version": __version__, "python": platform.python_version(), "environment": state.settings.environment}
    families = [gauge("opportune_info", "What runs.", 1, **labels)]
    try:
        families += await run_with_timeout(DATABASE_TIMEOUT_SECONDS, _of_database(state))
        is_up = 1
    except (DBAPIError, PoolTimeoutError, TimeoutError):
        is_up = 0
    return [*families, gauge("opportune_database_up", "Whether the database answers.", is_up)]


async def _of_database(state: State) -> list[Family]:
    async with state.database.reader(fresh=True) as session:
        families = [family async for family in _of_jobs(session)]
        for feature in state.features:
            for each in await feature.gauges(session) if feature.gauges else ():
                samples: list[Sample] = [("", labels, value) for labels, value in each.samples]
                families.append(Family(each.name, "gauge", each.description, samples))
    return families


async def _of_jobs(session: AsyncSession) -> AsyncIterator[Family]:
    numbers = await management.counts(session)
    yield Family(
        "opportune_jobs", "gauge", "Jobs by state.", [("", {"state": name}, count) for name, count in numbers.items()]
    )
    now = utc_now()
    is_due = (col(Job.state) == JobState.WAITING) & (col(Job.due_at) <= now)
    oldest = await session.scalar(select(func.min(col(Job.due_at))).where(is_due))
    words = "For how long the job that is due longest has waited."
    yield gauge("opportune_job_oldest_due_seconds", words, (now - oldest).total_seconds() if oldest else 0)
    query = select(col(LastRun.name), col(LastRun.succeeded_at)).where(col(LastRun.succeeded_at).is_not(None))
    samples: list[Sample] = [("", {"job": name}, at.timestamp()) for name, at in await session.execute(query)]
    words = "When a schedule's job last ended well, in seconds since 1970."
    yield Family("opportune_schedule_last_success_seconds", "gauge", words, samples)
