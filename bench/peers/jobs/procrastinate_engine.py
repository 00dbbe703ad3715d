"""Empty jobs in a backlog of Procrastinate: `prepare URL JOBS` or `work URL`."""

import asyncio
import sys

from procrastinate import App, PsycopgConnector

from bench.peers.jobs.report import fill_table

MAX_PARALLEL_JOBS = 20
INSERT = """
INSERT INTO procrastinate_jobs (queue_name, task_name) SELECT 'default', 'bench.nothing' FROM generate_series(1, %s)
"""


def make_app(url: str) -> App:
    app = App(connector=PsycopgConnector(conninfo=url, kwargs={"prepare_threshold": None}))

    @app.task(name="bench.nothing")
    async def nothing() -> None: ...

    return app


async def prepare(url: str, jobs: int) -> None:
    async with make_app(url).open_async() as app:
        await app.schema_manager.apply_schema_async()
    fill_table(url, "procrastinate_jobs", INSERT, jobs)


async def work(url: str) -> None:
    async with make_app(url).open_async() as app:
        await app.run_worker_async(concurrency=MAX_PARALLEL_JOBS)


if __name__ == "__main__":
    action, url, *jobs = sys.argv[1:]
    asyncio.run(prepare(url, int(jobs[0])) if action == "prepare" else work(url))
