"""Wait for data of a socket that the event loop keeps watching between statements."""

import asyncio


class SocketWatch:
    """Tells when a socket has data to read. The event loop watches it until `stop`.

    psycopg adds and removes a reader for each statement, which would slow down short ones.
    """

    _watched: tuple[asyncio.AbstractEventLoop, int] | None = None
    """Event loop that watches the socket, and the socket."""
    _readable: asyncio.Future[bool] | None = None
    """Whether the socket has data to read or the time is over, while a statement waits."""
    _deadline: float = 0
    """Time of the event loop at which the time of the waiting statement is over."""
    _timer: asyncio.TimerHandle | None = None
    """Timer that checks the deadline. Statements that begin before it ends also use it."""

    async def is_readable_within(self, socket: int, timeout_seconds: float) -> bool:
        """Wait until the socket has data to read. Return False if the time is over before."""
        loop = asyncio.get_running_loop()
        if self._watched is None or self._watched[0] is not loop:
            self.stop()
            self._watched = loop, socket
            loop.add_reader(socket, self._report_readable)
        self._readable = loop.create_future()
        self._deadline = loop.time() + timeout_seconds
        if self._timer is None:
            self._timer = loop.call_at(self._deadline, self._check_deadline, loop)
        try:
            return await self._readable
        finally:
            self._readable = None

    def _report_readable(self) -> None:
        if self._readable is None:  # an event that no statement waits for would repeat
            self.stop()
        elif not self._readable.done():
            self._readable.set_result(True)

    def _check_deadline(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._readable is None:
            return
        if loop.time() < self._deadline:  # of a later statement
            self._timer = loop.call_at(self._deadline, self._check_deadline, loop)
        elif not self._readable.done():
            self._readable.set_result(False)

    def stop(self) -> None:
        """Stop watching the socket, before it is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watched is not None:
            loop, socket = self._watched
            self._watched = None
            if not loop.is_closed():
                loop.remove_reader(socket)
