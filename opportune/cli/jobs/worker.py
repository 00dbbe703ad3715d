"""Do the jobs that the site queues.

Runs until Ctrl-C or SIGTERM. Run as many workers as you like, on as many machines.
"""

import asyncio
import signal
from contextlib import suppress
from logging.config import dictConfig
from typing import Annotated

import typer

from opportune.cli.loop import runner
from opportune.cli.transaction import migrated_settings, opened
from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.features import running_process
from opportune.jobs.service import DatabaseJobQueue
from opportune.server.logging import logging_config

POLL_INTERVAL_SECONDS = 1.0
"""Seconds between two looks for what other processes have queued."""


def command(
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Jobs at a time. [default: DATABASE_POOL_SIZE]")
    ] = None,
) -> None:
    settings = migrated_settings()
    dictConfig(logging_config(settings))
    with runner() as loop, suppress(KeyboardInterrupt, asyncio.CancelledError):
        loop.run(_work(settings, concurrency))


async def _work(settings: Settings, concurrency: int | None) -> None:
    async with opened(settings) as jobs, running_process(jobs.worker.services):
        if never := jobs.database.url.readonly_notice:
            raise OperatorError(never)
        await jobs.database.setup()
        jobs.worker.concurrency = concurrency or jobs.worker.concurrency
        _watch_sigterm(jobs)
        print(_greeting(jobs), flush=True)
        await jobs.worker.work(POLL_INTERVAL_SECONDS)


def _greeting(jobs: DatabaseJobQueue) -> str:
    also = " The site does jobs itself as well: set JOBS=worker to leave them to workers." if jobs.is_inline else ""
    return f"Doing jobs, {jobs.worker.concurrency} at a time (Ctrl-C stops it).{also}"


def _watch_sigterm(jobs: DatabaseJobQueue) -> None:
    with suppress(NotImplementedError):  # Windows has no such signal
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, jobs.worker.stop)
