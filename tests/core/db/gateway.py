"""A way to a server that can fall silent: connections stay open and nothing passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Gateway:
    def __init__(self, target: int) -> None:
        self.target = target
        self.passing = asyncio.Event()
        self.passing.set()
        self.port = 0
        self._visits: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        yield
        server.close()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visits.add(asyncio.create_task(self._visit(reader, writer)))

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            await asyncio.gather(self._pass(reader, questions), self._pass(answers, writer))
        finally:
            for end in (writer, questions):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self.passing.wait()
                target.write(data)
                await target.drain()
        target.close()
