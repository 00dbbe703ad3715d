"""Wait for data of a socket, which the event loop keeps watching between statements."""

import asyncio


class SocketWatch:
    """Waits for data of one socket. The event loop watches the socket until `stop`.

    psycopg adds and removes a reader for each statement, which would slow down short ones.
    """

    _watched: tuple[asyncio.AbstractEventLoop, int] | None = None
    """Event loop that watches the socket, and the file descriptor of the socket."""
    _readable: asyncio.Future[bool] | None = None
    """Result for the waiting statement: whether the socket has data to read, or False after the timeout."""
    _deadline: float = 0
    """Time of the event loop at which the waiting statement times out."""
    _timer: asyncio.TimerHandle | None = None
    """Timer that checks the deadline. It is kept for later statements, because most end long before their deadline."""

    async def is_readable_within(self, socket: int, timeout_seconds: float) -> bool:
        """Wait until a socket, given by its file descriptor, has data to read. Return False after the timeout."""
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
        if self._readable is None:  # no statement reads the data, so the event would repeat
            self.stop()
        elif not self._readable.done():
            self._readable.set_result(True)

    def _check_deadline(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._readable is None:
            return
        if loop.time() < self._deadline:  # a later statement waits
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
