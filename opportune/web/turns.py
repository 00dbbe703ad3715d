"""Turns: what hundreds do in the same moment is done a few at a time, between looks at others' requests."""

import asyncio
from collections import deque


class Turns:
    """Lets so many go on between two looks of the event loop at its sockets, in the order of their coming."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = 0
        self._waiting = deque[asyncio.Future[None]]()

    def take(self) -> bool:
        """Take one of this turn, where one is left."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # the first one's, or that of the test after the last
            self._loop, self._left, self._waiting = loop, self.at_once, deque()
        if not self._left:
            return False
        if self._left == self.at_once:
            loop.call_soon(self._begin_turn)
        self._left -= 1
        return True

    async def wait(self) -> None:
        """Go on when there is one left, at once if few want it."""
        if not self.take():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    def _begin_turn(self) -> None:
        self._left = self.at_once
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # who waited may have been cancelled
                turn.set_result(None)
                self._left -= 1
        if self._left < self.at_once:
            asyncio.get_running_loop().call_soon(self._begin_turn)
