"""Run the jobs that the site queues.

Runs until Ctrl-C or SIGTERM. You can run any number of workers on any number of machines.
"""

import asyncio
import signal
from contextlib import suppress
from logging.config import dictConfig
from typing import Annotated

import typer

from opportune.cli.loop import open_event_loop
from opportune.cli.transaction import migrated_settings, open_job_queue
from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.features.core import running_process
from opportune.server.logging import logging_config
from opportune.server.shutdown import limit_time_to_end

POLL_INTERVAL_SECONDS = 1.0
"""Interval of polling for jobs queued by other processes."""
NOTIFIED_POLL_INTERVAL_SECONDS = 5.0
"""The interval if other processes notify this one of new jobs."""


def command(
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Number of jobs to run at the same time. [default: DATABASE_POOL_SIZE]"),
    ] = None,
) -> None:
    settings = migrated_settings()
    dictConfig(logging_config(settings))
    with open_event_loop() as loop, suppress(KeyboardInterrupt, asyncio.CancelledError):
        loop.run(_work(settings, concurrency))


async def _work(settings: Settings, concurrency: int | None) -> None:
    async with open_job_queue(settings) as jobs, running_process(jobs.worker.services):
        if reason := jobs.database.url.readonly_notice:
            raise OperatorError(reason)
        await jobs.database.setup()
        jobs.worker.concurrency = concurrency or jobs.worker.concurrency
        with suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, jobs.worker.stop)
        note = " The site also runs jobs. To leave them to workers, set JOBS=worker." if jobs.is_inline else ""
        print(f"Running jobs, {jobs.worker.concurrency} at a time (Ctrl-C stops it).{note}", flush=True)
        is_notified = jobs.database.bus.is_shared
        await jobs.worker.work(NOTIFIED_POLL_INTERVAL_SECONDS if is_notified else POLL_INTERVAL_SECONDS)
        limit_time_to_end()
