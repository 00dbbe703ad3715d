"""Reports of all workers of a server, collected by the worker that handles the request."""

import asyncio
import json
import os
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from fastapi import FastAPI
from starlette.datastructures import State

from opportune.contrib.telemetry.collect import process_metrics
from opportune.contrib.telemetry.process import STARTED_AT, lag_seconds, resident_memory_bytes
from opportune.contrib.telemetry.prometheus import Family
from opportune.contrib.telemetry.worker_sockets import WorkerSockets
from opportune.server.workers import WORKERS_VARIABLE

LAG_INTERVAL_SECONDS = 0.005
"""Time in which a worker measures the lag of its event loop for a report."""


@dataclass(frozen=True)
class WorkerReport:
    """State of one worker."""

    worker: int
    """Number from 0. A worker that replaces another one takes over its number."""
    pid: int
    started_at: float
    memory_bytes: int
    lag_seconds: float
    families: list[Family]
    """Metrics of the worker."""


class Workers:
    """Group of workers of this server, or only this process."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sockets = WorkerSockets(os.environ.get(WORKERS_VARIABLE, ""))

    @property
    def number(self) -> int:
        return self._sockets.number

    def listening(self) -> AbstractAsyncContextManager[None]:
        """Send reports to the other workers until the block ends."""
        return self._sockets.listening(self._write_report)

    async def reports(self) -> list[WorkerReport]:
        """Return the reports of all workers that respond in time, ordered by number."""
        own_report, messages = await asyncio.gather(self.create_report(), self._sockets.request_messages())
        reports = [own_report, *filter(None, map(_parse_report, messages))]
        return sorted(reports, key=lambda report: report.worker)

    async def create_report(self) -> WorkerReport:
        lag = await lag_seconds(LAG_INTERVAL_SECONDS)
        return WorkerReport(
            self.number, os.getpid(), STARTED_AT, resident_memory_bytes(), lag, [*process_metrics(self._state)]
        )

    async def _write_report(self) -> bytes:
        return json.dumps(asdict(await self.create_report())).encode()


def _parse_report(content: bytes) -> WorkerReport | None:
    """Return the report in a message; None if it is incomplete, or of another version during a deployment."""
    with suppress(ValueError, TypeError, KeyError):
        values: dict[str, Any] = json.loads(content)
        return WorkerReport(**{**values, "families": [Family(**family) for family in values["families"]]})
    return None


def get_workers(app: FastAPI) -> Workers:
    if not hasattr(app.state, "workers"):
        app.state.workers = Workers(app.state)
    return cast("Workers", app.state.workers)
