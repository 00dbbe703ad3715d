"""WebSocket protocol of the server. It is imported at the first connection, because most sites have no WebSockets."""

import asyncio
from typing import Any

MAX_WEBSOCKET_MESSAGE_BYTES = 1_000_000


def open_websocket(**options: Any) -> asyncio.Protocol:
    """Create the protocol of a connection that is upgraded to a WebSocket."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol  # see above

    return WebSocketsSansIOProtocol(**options)
