"""Empty jobs on the site's job engine: `measure URL JOBS`, `commit URL`, `prepare URL JOBS` or `work URL`.

The first two are also those of DBOS, and the others those of the engines with a backlog.
"""

import asyncio
import sys
import time

from pydantic import SecretStr
from sqlalchemy import text

from bench.peers.jobs.report import CHANGE, CHANGES, PARALLEL_JOBS, fill_table, report
from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import run_migrations
from opportune.jobs import JobContext, defer, job
from opportune.jobs.service import DatabaseJobQueue
from opportune.services import Services
from opportune.storage import open_storage

INSERT = """
INSERT INTO jobs_job (queue, priority, state, name, arguments, attempt, due_at, created_at, cancel_asked, done, total,
    note, error)
SELECT 'default', 0, 'waiting', 'bench.nothing', '[]', 0, now() - interval '1 hour', now(), false, 0, 0, '', ''
FROM generate_series(1, %s)
"""


@job("bench.nothing")
async def nothing(run: JobContext) -> None: ...


async def main(action: str, url: str, number: int = 0) -> None:
    settings = Settings(_env_file=None, environment="test", database_url=SecretStr(url))
    if action != "work":
        with connect(settings) as connection:
            run_migrations(connection, MigrationGraph(["jobs"]))
    if action == "prepare":
        fill_table(url, "jobs_job", INSERT, number)
        return
    database = open_database(settings)
    await database.setup()
    services = Services(settings=settings, database=database, storage=open_storage(settings))
    jobs = DatabaseJobQueue(services, [nothing])
    if action == "measure":
        async with jobs.running():
            await report(await measure_seconds(jobs, number))
    elif action == "commit":
        await commit_changes(jobs)
    else:
        await jobs.worker.work(1.0)
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
    action, url, *numbers = sys.argv[1:]
    asyncio.run(main(action, url, *map(int, numbers)))
