"""Has hundreds of requests that come at once begin a few at a time.

After a deploy everybody whose stream broke off is back in the same moment. The host's health check would wait until
all of them have begun, and take the site for dead.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from opportune.web.health import MACHINE_PATHS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BEGUN_PER_TURN = 8
"""Requests that begin between two looks of the event loop at its sockets: 1 to 3 ms of work."""


class RequestTurns:
    """An application whose requests begin in turns of the event loop, in the order of their coming.

    How many are being answered is not bounded: who waits for something keeps nobody. Health checks wait for no turn.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app
        self._left = MAX_BEGUN_PER_TURN
        self._waiting = deque[asyncio.Future[None]]()

    def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> Awaitable[None]:
        if scope["type"] == "lifespan" or scope.get("path") in MACHINE_PATHS:
            return self.app(scope, receive, send)
        if not self._left:
            return self._begin_later(scope, receive, send)
        if self._left == MAX_BEGUN_PER_TURN:
            asyncio.get_running_loop().call_soon(self._next_turn)
        self._left -= 1
        return self.app(scope, receive, send)

    async def _begin_later(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn
        await self.app(scope, receive, send)

    def _next_turn(self) -> None:
        self._left = MAX_BEGUN_PER_TURN
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # the server may have given up waiting
                turn.set_result(None)
                self._left -= 1
        if self._left < MAX_BEGUN_PER_TURN:
            asyncio.get_running_loop().call_soon(self._next_turn)
