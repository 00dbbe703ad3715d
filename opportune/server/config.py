"""uvicorn's configuration: trusted proxies with X-Forwarded-For, the event loop, and the protocol of WebSockets."""

import asyncio
import gc
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvicorn

from opportune.server.paced_starts import PacedStarts
from opportune.server.shutdown import exit_at_signal
from opportune.server.workers import Shares

MAX_WEBSOCKET_MESSAGE_BYTES = 1_000_000


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, except that `*` trusts every client and the last entry of X-Forwarded-For.

    uvicorn would use the first entry, which a visitor can forge. Addresses after `*` are skipped in the header.
    """

    shares: Shares | None = None
    """Open connections of the workers, if there are several."""

    def load(self) -> None:
        """Import the site, trust the configured proxies, and pace the start of requests."""
        names = [name.strip() for name in str(self.forwarded_allow_ips).split(",")]
        self.forwarded_allow_ips = [name for name in names if name != "*"]
        gc.disable()  # importing the site creates no garbage, and searching for it delays the start
        try:
            with exit_at_signal():
                super().load()
        finally:
            gc.freeze()  # or the first collection would search all imported objects
            gc.enable()
        if self.proxy_headers and "*" in names:
            app: Any = self.loaded_app
            app.trusted_hosts = AnyProxy(app.trusted_hosts)
        self.loaded_app = PacedStarts(self.loaded_app)

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        if self.loop != "uvloop":
            return super().get_loop_factory()
        from opportune.server.acceptor import Loop  # Windows has no uvloop

        return partial(Loop, self.shares)


class AnyProxy:
    """A set of trusted proxies that contains every client."""

    def __init__(self, skipped: Any) -> None:
        self._skipped = skipped

    def __contains__(self, _host: object) -> bool:
        return True

    def get_trusted_client_address(self, forwarded_for: str) -> tuple[str, int]:
        return cast("tuple[str, int]", self._skipped.get_trusted_client_address(forwarded_for))


def open_websocket(**options: Any) -> asyncio.Protocol:
    """Create the protocol of a connection that is upgraded to a WebSocket."""
    # Imported at the first connection, because most sites have no WebSockets.
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    return WebSocketsSansIOProtocol(**options)
