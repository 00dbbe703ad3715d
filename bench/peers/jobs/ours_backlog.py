"""Empty jobs in a backlog of the site's job engine: `prepare URL JOBS` or `work URL`."""

import asyncio
import sys

import psycopg
from pydantic import SecretStr

from bench.peers.jobs.ours import migrate_jobs, nothing
from opportune.config.settings import Settings
from opportune.db.factory import open_database
from opportune.jobs.service import DatabaseJobQueue
from opportune.services import Services
from opportune.storage import open_storage

INSERT = """
INSERT INTO jobs_job (queue, priority, state, name, arguments, attempt, due_at, created_at, cancel_asked, done, total,
    note, error)
SELECT 'default', 0, 'waiting', 'bench.nothing', '[]', 0, now() - interval '1 hour', now(), false, 0, 0, '', ''
FROM generate_series(1, %s)
"""


def prepare(settings: Settings, url: str, jobs: int) -> None:
    migrate_jobs(settings)
    with psycopg.connect(url, autocommit=True) as statements:
        statements.execute(INSERT, [jobs])
        statements.execute("VACUUM ANALYZE jobs_job")


async def work(settings: Settings) -> None:
    database = open_database(settings)
    await database.setup()
    services = Services(settings=settings, database=database, storage=open_storage(settings))
    await DatabaseJobQueue(services, [nothing]).worker.work(1.0)


if __name__ == "__main__":
    action, url, *jobs = sys.argv[1:]
    settings = Settings(_env_file=None, environment="test", database_url=SecretStr(url))
    if action == "prepare":
        prepare(settings, url, int(jobs[0]))
    else:
        asyncio.run(work(settings))
