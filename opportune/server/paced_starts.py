"""Fair starts of requests when hundreds arrive together, as when all clients of a restarted site reconnect."""

import asyncio
from collections import deque
from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from opportune.web.machine_paths import MACHINE_PATHS
from opportune.web.routing.root_path import path_below_root

MAX_STARTED_PER_TURN = 4
"""Maximum requests started per iteration of the event loop, about 5 ms of work until their responses."""


class PacedStarts:
    """Application that starts a few requests per iteration of the event loop, first come, first served.

    Otherwise all would advance together, and each would end as late as the last one. Health checks start immediately.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._started = 0
        self._waiting = deque[asyncio.Future[None]]()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if self._started < MAX_STARTED_PER_TURN or path_below_root(scope) in MACHINE_PATHS:
            self._count_start()
            return self.app(scope, receive, send)
        return self._start_later(scope, receive, send)

    async def _start_later(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = asyncio.get_running_loop().create_future()
        self._waiting.append(start)
        await start
        await self.app(scope, receive, send)

    def _count_start(self) -> None:
        if self._started == 0:
            asyncio.get_running_loop().call_soon(self._next_turn)
        self._started += 1

    def _next_turn(self) -> None:
        self._started = 0
        while self._waiting and self._started < MAX_STARTED_PER_TURN:
            start = self._waiting.popleft()
            if not start.done():  # cancelled at the end of the server
                self._count_start()
                start.set_result(None)
