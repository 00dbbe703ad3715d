"""uvicorn server in a thread, with one of the framework's protocols."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from queue import Queue
from typing import Any

import uvicorn
from starlette.types import ASGIApp

TIMEOUT_SECONDS = 30


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.address: Queue[tuple[str, int]] = Queue()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.address.put(self.servers[0].sockets[0].getsockname())


@contextmanager
def run_uvicorn(app: ASGIApp, parser: str, **options: Any) -> Iterator[tuple[str, int]]:
    """Serve the application on a free port, with the protocol `httptools` or `h11`."""
    protocol = import_module(f"opportune.server.connections.with_{parser}").Protocol
    server = Server(
        uvicorn.Config(app, http=protocol, lifespan="off", port=0, log_config=None, access_log=False, **options)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.address.get(timeout=TIMEOUT_SECONDS)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_SECONDS)
