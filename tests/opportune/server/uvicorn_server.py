"""uvicorn server in a thread, with the framework's protocol."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from opportune.server.connection_limits import Protocol

TIMEOUT_SECONDS = 30


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.address: Queue[tuple[str, int]] = Queue()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.address.put(self.servers[0].sockets[0].getsockname())


@contextmanager
def run_uvicorn(app: ASGIApp, **options: Any) -> Iterator[tuple[str, int]]:
    """Serve the application on a free port."""
    server = Server(
        uvicorn.Config(app, http=Protocol, lifespan="off", port=0, log_config=None, access_log=False, **options)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.address.get(timeout=TIMEOUT_SECONDS)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_SECONDS)
