"""Progress of a tool, which it reports with `opportune.progress.work`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from mcp.server.session import ServerSession

from opportune.progress import Progress, watched_by
from opportune.services.tasks import cancel_and_wait

INTERVAL_SECONDS = 0.1
"""Minimum time between two notifications."""


class ProgressNotifications:
    """Sends the sum of all work of one call. The protocol requires that each number is larger than the last."""

    def __init__(self, session: ServerSession) -> None:
        self.done = 0
        self.total: int | None = 0
        self.label = ""
        self.changed = asyncio.Event()
        self._session = session
        self._sent = -1

    @contextmanager
    def show(self, label: str, total: int | None, _unit: str) -> Iterator[Progress]:
        self.label = label
        self.total = None if total is None or self.total is None else self.total + total
        self.changed.set()
        yield self

    def advance(self, count: int = 1) -> None:
        self.done += count
        self.changed.set()

    def describe(self, label: str) -> None:
        """Name the current step. Without a total, each step counts as an item, so that the label is sent."""
        self.label = label
        if self.total is None:
            self.advance()

    async def send_all(self) -> None:
        while True:
            await self.changed.wait()
            await self.send()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def send(self) -> None:
        self.changed.clear()
        if self.done > self._sent:
            self._sent = self.done
            await self._session.report_progress(self.done, self.total, self.label)


@asynccontextmanager
async def reported_progress(session: ServerSession) -> AsyncIterator[None]:
    """Send the progress of the block to the client."""
    notifications = ProgressNotifications(session)
    task = asyncio.create_task(notifications.send_all())
    try:
        with watched_by(notifications.show):
            yield
    finally:
        await cancel_and_wait(task)
    if notifications.changed.is_set():
        await notifications.send()
