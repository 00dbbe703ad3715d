"""Empty jobs on the site's job engine: `python -m bench.peers.jobs.ours URL [NUMBER]`.

Without a number, it commits changes until it is killed."""

import asyncio
import sys
import time

from pydantic import SecretStr
from sqlalchemy import text

from bench.peers.jobs.report import CHANGE, CHANGES, PARALLEL_JOBS, report
from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import run_migrations
from opportune.jobs import JobContext, defer, job
from opportune.jobs.service import DatabaseJobQueue
from opportune.services import Services
from opportune.storage import open_storage


@job("bench.nothing")
async def nothing(run: JobContext) -> None: ...


def migrate_jobs(settings: Settings) -> None:
    graph = MigrationGraph(["jobs"])
    with connect(settings) as connection:
        run_migrations(connection, graph)


async def main(url: str, number: int) -> None:
    settings = Settings(_env_file=None, environment="test", database_url=SecretStr(url))
    migrate_jobs(settings)
    database = open_database(settings)
    await database.setup()
    services = Services(settings=settings, database=database, storage=open_storage(settings))
    jobs = DatabaseJobQueue(services, [nothing])
    if number:
        async with jobs.running():
            await report(await measure_seconds(jobs, number))
    else:
        await commit_changes(jobs)
    await database.dispose()


async def measure_seconds(jobs: DatabaseJobQueue, number: int) -> float:
    await jobs.wait_until_ended(await jobs.enqueue(nothing()))
    started = time.perf_counter()
    queued = [await jobs.enqueue(nothing()) for _ in range(number)]
    for job_id in queued[-PARALLEL_JOBS:]:  # ordered by due time
        await jobs.wait_until_ended(job_id)
    return time.perf_counter() - started


async def commit_changes(jobs: DatabaseJobQueue) -> None:
    """Commit changes that each queue a job, until killed."""
    async with jobs.database.writer() as session:
        await session.execute(text(CHANGES))
    print("ready", flush=True)
    while True:
        async with jobs.database.writer() as session:
            await session.execute(text(CHANGE))
            defer(session, nothing())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
