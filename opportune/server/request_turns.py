"""Has hundreds of requests that come at once begin one after the other.

After a deploy everybody whose stream broke off is back in the same moment. The host's health check would wait until
all of them have begun, and take the site for dead.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from opportune.web.health import MACHINE_PATHS
from opportune.web.turns import Turns

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BEGUN_PER_TURN = 1
"""Requests that begin between two looks of the event loop at its sockets. More would fill memory with requests that
have begun and wait for the database."""


class RequestTurns:
    """An application whose requests begin in turns of the event loop.

    How many are being answered is not bounded: who waits for something keeps nobody. Health checks wait for no turn.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app
        self._turns = Turns(MAX_BEGUN_PER_TURN)

    def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> Awaitable[None]:
        if scope["type"] == "lifespan" or scope.get("path") in MACHINE_PATHS or self._turns.take():
            return self.app(scope, receive, send)
        return self._begin_later(scope, receive, send)

    async def _begin_later(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        await self._turns.wait()
        await self.app(scope, receive, send)
