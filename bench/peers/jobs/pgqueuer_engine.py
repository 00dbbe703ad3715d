"""Empty jobs in a backlog of PgQueuer: `prepare URL JOBS` or `work URL`."""

import asyncio
import sys

import psycopg
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import PsycopgDriver
from pgqueuer.models import Job

from bench.peers.jobs.report import fill_table

MAX_BATCHED_JOBS = 100
INSERT = """
INSERT INTO pgqueuer (priority, entrypoint, status) SELECT 0, 'nothing', 'queued' FROM generate_series(1, %s)
"""


async def connect(url: str) -> PsycopgDriver:
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None)
    return PsycopgDriver(connection)


async def prepare(url: str, jobs: int) -> None:
    driver = await connect(url)
    await Queries(driver).install()
    fill_table(url, "pgqueuer", INSERT, jobs)


async def work(url: str) -> None:
    queue = PgQueuer(await connect(url))

    @queue.entrypoint("nothing")
    async def nothing(_job: Job) -> None: ...

    await queue.run(batch_size=MAX_BATCHED_JOBS)


if __name__ == "__main__":
    action, url, *jobs = sys.argv[1:]
    asyncio.run(prepare(url, int(jobs[0])) if action == "prepare" else work(url))
