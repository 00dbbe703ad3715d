"""Web servers in the process of a test or a rehearsal."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import ASGIApp


def local_listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


@asynccontextmanager
async def serving(
    app: ASGIApp, listener: socket.socket | None = None, *, certificate: Path | None = None
) -> AsyncIterator[int]:
    """Serve an application without its lifespan, and return the port.

    Args:
        app: The application.
        listener: Socket to use instead of a new one. It stays open.
        certificate: File of the certificate and its key; None for plain HTTP.
    """
    import uvicorn  # most tests do not need it

    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1, ssl_certfile=certificate)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    own_listener = listener.dup() if listener else local_listener()
    with own_listener as local_site:
        await server.startup(sockets=[local_site])
        try:
            yield local_site.getsockname()[1]
        finally:
            await server.shutdown()
