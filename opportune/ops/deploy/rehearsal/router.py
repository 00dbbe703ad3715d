"""The host's own network between its proxy and the site, and between the site and its database: plain TCP, with the
host's whims. It cuts what takes too long, wakes what sleeps, and lets nothing run where no request does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

CHUNK_BYTES = 64 * 1024
CONNECT_TIMEOUT_SECONDS = 10.0


class Relay:
    """Listens on a port of this machine and passes on what comes, to a port that a subclass names."""

    def __init__(self) -> None:
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def target(self) -> int | None:
        """The port to pass this connection on to, or None to refuse it."""
        raise NotImplementedError

    def seconds_for(self, _first: bytes) -> float | None:
        """After which a connection that begins with these bytes is cut, whatever goes on in it."""
        return None

    def began(self) -> None:
        """One more connection is being passed on."""

    def ended(self) -> None:
        """One of them is over."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await self.cut_all()

    async def cut_all(self) -> None:
        """End every connection at once, as a machine that is switched off."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(CHUNK_BYTES)
        self.began()
        try:
            port = await self.target() if first else None
            if port is None:
                writer.transport.abort()
                return
            connecting = asyncio.open_connection("127.0.0.1", port)
            onward = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_SECONDS)
            onward[1].write(first)
            await self._exchange((reader, writer), onward, self.seconds_for(first))
        finally:
            self.ended()

    async def _exchange(
        self,
        visitor: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        site: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        seconds: float | None,
    ) -> None:
        pumps = [asyncio.create_task(_pump(visitor[0], site[1])), asyncio.create_task(_pump(site[0], visitor[1]))]
        try:
            done, _ = await asyncio.wait(pumps, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                visitor[1].transport.abort()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            site[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


class Router(Relay):
    """What stands between the host's proxy and the site: it knows which process answers, and wakes one if none does.

    `wake` starts a process and gives its port. `freeze` is called where the host runs nothing between requests, with
    whether it is to stand still.
    """

    def __init__(
        self, wake: Callable[[], Awaitable[int]], freeze: Callable[[bool], None], total_seconds: float | None
    ) -> None:
        super().__init__()
        self._total_seconds = total_seconds
        self.site_port: int | None = None
        """Where the process listens that answers now; None while it sleeps."""
        self._wake, self._freeze = wake, freeze
        self._waking = asyncio.Lock()
        self._requests = 0

    async def target(self) -> int | None:
        async with self._waking:
            if self.site_port is None:
                self.site_port = await self._wake()
        return self.site_port

    def seconds_for(self, first: bytes) -> float | None:
        # Pages take longer on a busy machine than the scaled clock of a stream.
        is_stream = first.split(b" HTTP/", 1)[0].endswith(b"/stream")
        return self._total_seconds if is_stream else None

    def began(self) -> None:
        self._requests += 1
        self._freeze(False)

    def ended(self) -> None:
        self._requests -= 1
        if self._requests == 0:
            self._freeze(True)


class DatabaseGate(Relay):
    """What stands between the site and its pooler: a database that sleeps refuses, and is awake a while after."""

    def __init__(self, database_port: int, wake_seconds: float) -> None:
        super().__init__()
        self.database_port, self.wake_seconds = database_port, wake_seconds
        self.refused = 0
        """How many connections were."""
        self._awake_at: float | None = None

    async def sleep(self) -> None:
        """Be asleep until somebody has knocked, and cut who is connected."""
        self._awake_at = None
        await self.cut_all()

    async def target(self) -> int | None:
        now = asyncio.get_running_loop().time()
        if self._awake_at is None:
            self._awake_at = now + self.wake_seconds
        if now >= self._awake_at:
            return self.database_port
        self.refused += 1
        return None
