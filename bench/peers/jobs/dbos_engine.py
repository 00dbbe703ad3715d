"""Empty jobs on DBOS, set up as in its guide, with the first two commands of `ours`."""

import asyncio
import sys
import time

from dbos import DBOS, DBOSConfig
from sqlalchemy import create_engine, make_url, text

from bench.peers.jobs.report import CHANGE, CHANGES, PARALLEL_JOBS, report

QUEUE = "jobs"
POLL_SECONDS = 0.1
"""Seconds between polls. With the default of one second jobs mostly wait for a poll."""


@DBOS.workflow(name="nothing")
async def nothing() -> None: ...


async def main(action: str, url: str, number: int = 0) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    else:
        parsed = parsed.set(database=f"{parsed.database}.jobs")  # the guide uses a separate file
    config = DBOSConfig(
        name="opportune",
        system_database_url=parsed.render_as_string(hide_password=False),
        executor_id="one",
        application_version="1",
        use_listen_notify=False,
        log_level="ERROR",
    )
    DBOS(config=config)
    DBOS.launch()
    await DBOS.register_queue_async(
        QUEUE, worker_concurrency=PARALLEL_JOBS, polling_interval_sec=POLL_SECONDS if action == "measure" else 3600
    )
    if action == "measure":
        await report(await measure_seconds(number))
    else:
        await commit_changes(url)
    await asyncio.to_thread(DBOS.destroy)


async def measure_seconds(number: int) -> float:
    await (await DBOS.enqueue_workflow_async(QUEUE, nothing)).get_result()
    started = time.perf_counter()
    queued = [await DBOS.enqueue_workflow_async(QUEUE, nothing) for _ in range(number)]
    for handle in queued[-PARALLEL_JOBS:]:
        await handle.get_result(polling_interval_sec=POLL_SECONDS)
    return time.perf_counter() - started


async def commit_changes(url: str) -> None:
    """Commit changes that each queue a job, until killed."""
    with create_engine(url).connect() as connection:
        connection.execute(text(CHANGES))
        connection.commit()
        print("ready", flush=True)
        while True:
            connection.execute(text(CHANGE))
            connection.commit()
            await DBOS.enqueue_workflow_async(QUEUE, nothing)


if __name__ == "__main__":
    action, url, *numbers = sys.argv[1:]
    asyncio.run(main(action, url, *map(int, numbers)))
