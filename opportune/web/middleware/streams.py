"""Sends event streams when all that has made them is over.

A dozen layers lie between here and a route, FastAPI's own among them. Each would wait with every viewer, with what it
holds: 8 kB more, where hundreds look at answers.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from opportune import speedups

HANDOVER = "opportune.handover"
"""Where a request's `Handover` stands in its scope."""


class Handover:
    """Takes the stream of a request, to be played when its layers are over."""

    __slots__ = ("_receive", "play")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.play: Callable[[], Awaitable[None]] | None = None

    def takes(self, scope: Scope, receive: Receive, play: Callable[[], Awaitable[None]]) -> bool:
        """Whether it plays the stream later: not where a layer looks at answers, or something is closed after them."""
        if receive is not self._receive or not forget_stacks(scope):
            return False
        self.play = play
        return True


class StreamsMiddleware:
    """Plays a stream that was handed over. Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        handover = scope[HANDOVER] = Handover(receive)
        await self.app(scope, receive, send)
        if handover.play:
            await handover.play()


def _keep_stacks(_scope: MutableMapping[str, Any]) -> bool:
    """FastAPI tells nobody whether dependencies are open: each stream is sent from where it was made."""
    return False


forget_stacks = speedups.speedup("opportune.web.middleware.streams_adapter", "forget_stacks", _keep_stacks)
