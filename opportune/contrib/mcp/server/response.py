"""Response to one message, using the protocol's SDK. Import this module on the first message only: the SDK is slow."""

import logging
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

import opportune
from opportune.contrib.mcp.server.handlers import Handlers
from opportune.contrib.mcp.server.message import SESSION_HEADER, Caller, ClientMessage

logging.getLogger("mcp.server").setLevel(logging.WARNING)  # it logs the start and end of each message

# AllowedHostsMiddleware and CsrfMiddleware already check Host and Origin.
SECURITY_SETTINGS = TransportSecuritySettings(enable_dns_rebinding_protection=False)


class McpResponse(Response):
    """Response to the message in the body of a request: JSON, or events if a tool reports its progress."""

    def __init__(self, caller: Caller, site_name: str, message: ClientMessage) -> None:
        super().__init__()
        self._server: Server[Any] = Server(
            site_name,
            version=opportune.__version__,
            get_tool_input_schema=caller.input_schema,
            **Handlers(caller).by_name(),
        )
        self._session_id = caller.session_id
        self._message = message

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body: list[Message] = [{"type": "http.request", "body": self._message.body, "more_body": False}]

        async def receive_again() -> Message:
            return body.pop() if body else await receive()

        async def send_session(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[SESSION_HEADER] = self._session_id
            await send(message)

        manager = StreamableHTTPSessionManager(
            self._server,
            stateless=True,
            json_response=not self._may_stream(Headers(scope=scope)),
            security_settings=SECURITY_SETTINGS,
        )
        async with manager.run():
            is_initialization = self._message.method == "initialize"
            await manager.handle_request(scope, receive_again, send_session if is_initialization else send)

    def _may_stream(self, headers: Headers) -> bool:
        """Return True if the client can read events and needs them.

        From 2026 on, the SDK sends JSON anyway if there is no progress, and watches the connection for cancellation.
        """
        version = headers.get("mcp-protocol-version", HANDSHAKE_PROTOCOL_VERSIONS[0])
        is_useful = version not in HANDSHAKE_PROTOCOL_VERSIONS or self._message.wants_progress
        return is_useful and "text/event-stream" in headers.get("accept", "")
