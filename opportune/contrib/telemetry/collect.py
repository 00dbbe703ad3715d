"""Current metrics of this process and of the whole site."""

import platform
import time
from collections.abc import AsyncIterator, Iterator

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.datastructures import State

from opportune import __version__
from opportune.contrib.telemetry.process import STARTED_AT, resident_memory_bytes
from opportune.contrib.telemetry.prometheus import Family, Sample, gauge
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.drivers.pool import Pool
from opportune.db.errors import DATABASE_ERRORS
from opportune.jobs import management
from opportune.jobs.models import Job, JobState, LastRun
from opportune.server.workers import OpenConnections
from opportune.services.tasks import run_with_timeout

DATABASE_TIMEOUT_SECONDS = 4
"""Time limit for queries, so that the other metrics are delivered if the database is unavailable."""


def process_metrics(state: State) -> Iterator[Family]:
    yield gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", STARTED_AT)
    yield gauge("process_resident_memory_bytes", "Resident memory.", resident_memory_bytes())
    yield gauge("process_cpu_seconds_total", "Processor time.", time.process_time(), "counter")
    yield gauge("http_connections_open", "Open connections of clients and proxies.", len(OpenConnections.of_server))
    yield from _pool_metrics(state.database)
    if state.telemetry.metrics:
        yield from state.telemetry.metrics.families()


def _pool_metrics(database: Database) -> Iterator[Family]:
    used = Family("opportune_database_connections_in_use", "gauge", "Connections in use.")
    limit = Family("opportune_database_connections_max", "gauge", "Maximum number of connections.")
    waiting = Family("opportune_database_waiting", "gauge", "Tasks that wait for a connection.")
    engines = {"writer": database.engine, "reader": database.reading_engine}
    for number, replica in enumerate(database.replicas.members, start=1):
        engines[f"replica{number if number > 1 else ''}"] = replica.engine
    for name, engine in engines.items():
        pool = engine.sync_engine.pool
        if isinstance(pool, Pool):
            labels = {"pool": name}
            used.samples.append(("", labels, pool.checkedout()))
            limit.samples.append(("", labels, pool.max_connections))
            waiting.samples.append(("", labels, pool.waiting))
    yield from (used, limit, waiting)


async def site_metrics(state: State) -> list[Family]:
    """Return the metrics that all processes share."""
    labels = {"version": __version__, "python": platform.python_version(), "environment": state.settings.environment}
    families = [gauge("opportune_info", "Version and environment of the site.", 1, **labels)]
    try:
        families += await run_with_timeout(DATABASE_TIMEOUT_SECONDS, _database_metrics(state))
        is_up = 1
    except (*DATABASE_ERRORS, TimeoutError):
        is_up = 0
    return [*families, gauge("opportune_database_up", "1 if the database responds.", is_up)]


async def _database_metrics(state: State) -> list[Family]:
    async with state.database.reader(fresh=True) as session:
        families = [family async for family in _job_metrics(session)]
        for feature in state.features:
            if feature.monitoring.gauges:
                for metric in await feature.monitoring.gauges(session):
                    samples: list[Sample] = [("", labels, value) for labels, value in metric.samples]
                    families.append(Family(metric.name, "gauge", metric.description, samples))
    return families


async def _job_metrics(session: AsyncSession) -> AsyncIterator[Family]:
    counts = await management.count_by_state(session)
    states: list[Sample] = [("", {"state": name}, count) for name, count in counts.items()]
    yield Family("opportune_jobs", "gauge", "Jobs by state.", states)
    now = utc_now()
    is_due = (col(Job.state) == JobState.WAITING) & (col(Job.due_at) <= now)
    oldest = await session.scalar(select(func.min(col(Job.due_at))).where(is_due))
    help_ = "Waiting time of the job that is due longest."
    yield gauge("opportune_job_oldest_due_seconds", help_, (now - oldest).total_seconds() if oldest else 0)
    query = select(col(LastRun.name), col(LastRun.succeeded_at)).where(col(LastRun.succeeded_at).is_not(None))
    samples: list[Sample] = [("", {"job": name}, at.timestamp()) for name, at in await session.execute(query) if at]
    help_ = "Last success of a scheduled job, in seconds since 1970."
    yield Family("opportune_schedule_last_success_seconds", "gauge", help_, samples)
