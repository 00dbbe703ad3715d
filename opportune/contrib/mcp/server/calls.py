"""Calls of the site's functions, with progress, and cancellation by the client."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext as Context
from mcp.server.session import ServerSession
from mcp.server.streamable_http import REQUEST_CANCELLED

from opportune.contrib.mcp.server.message import Caller, call_key, cancellable
from opportune.contrib.tools import ToolResult
from opportune.contrib.tools.toolbox import Toolbox
from opportune.progress import Progress, watched_by
from opportune.services.tasks import cancel_and_wait

INTERVAL_SECONDS = 0.1
"""Minimum time between two notifications."""
MAX_CONTENT_BYTES = 2_000_000


async def run_call(
    context: Context[Any], caller: Caller, toolbox: Toolbox, name: str, arguments: Mapping[str, Any]
) -> ToolResult:
    """Call a function of the toolbox, and send its progress if the client wants it.

    Raises:
        MCPError: The client has cancelled the call, or its result is too large.
    """
    async with AsyncExitStack() as stack:
        if context.meta and "progress_token" in context.meta:
            await stack.enter_async_context(_reported_progress(context.session))
        with cancellable(call_key(caller.user.id, caller.session_id, context.request_id)) as scope:
            result = await caller.call(toolbox, name, arguments)
    if scope.cancelled_caught:
        raise MCPError(REQUEST_CANCELLED, "The client has cancelled this call.")
    if len(result.body) > MAX_CONTENT_BYTES:
        raise MCPError(types.INVALID_PARAMS, f"The content is larger than {MAX_CONTENT_BYTES:,} bytes.")
    return result


class _ProgressNotifications:
    """Sends the progress of a call, which it reports with `opportune.progress.work`, as the sum of all work.

    The protocol requires that each number is larger than the last.
    """

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
async def _reported_progress(session: ServerSession) -> AsyncIterator[None]:
    """Send the progress of the block to the client."""
    notifications = _ProgressNotifications(session)
    task = asyncio.create_task(notifications.send_all())
    try:
        with watched_by(notifications.show):
            yield
    finally:
        await cancel_and_wait(task)
    if notifications.changed.is_set():
        await notifications.send()
