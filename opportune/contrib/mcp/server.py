"""Server of the protocol, using its SDK. Import this module on the first message only, because the SDK is slow."""

import json
import logging
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import opportune
from opportune.accounts.models import ApiToken, User
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.mcp.caller import Caller
from opportune.contrib.mcp.results import output_schema, structured_content
from opportune.contrib.tools.toolbox import toolbox_of

logging.getLogger("mcp.server").setLevel(logging.WARNING)  # it logs the start and end of each message

# AllowedHostsMiddleware and CsrfMiddleware already check Host and Origin.
SECURITY_SETTINGS = TransportSecuritySettings(enable_dns_rebinding_protection=False)


def create_caller(request: Request, user: User, token: ApiToken) -> Caller:
    names = {name.lower().encode() for feature in request.app.state.features for name in feature.llm.tool_headers}
    headers = [(name, value) for name, value in request.headers.raw if name in names]
    return Caller(toolbox_of(request.app), user, token, headers)


class McpResponse(Response):
    """Response to the message in the body of a request."""

    def __init__(self, caller: Caller, site_name: str) -> None:
        super().__init__()
        self._server = create_server(caller, site_name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = StreamableHTTPSessionManager(
            self._server, stateless=True, json_response=True, security_settings=SECURITY_SETTINGS
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)


def create_server(caller: Caller, site_name: str) -> Server[Any]:
    """Create a server for one message of a caller."""

    async def list_tools(
        _context: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    title=tool.status,
                    description=tool.description,
                    input_schema=dict(tool.schema.parameters),
                    output_schema=output_schema(tool),
                    annotations=types.ToolAnnotations(read_only_hint=not caller.toolbox.changes(tool.name)),
                )
                for tool in caller.tools
            ]
        )

    async def call_tool(
        _context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        result = await caller.call(ToolCall("mcp", params.name, json.dumps(params.arguments or {})))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=result.text)],
            structured_content=structured_content(caller.toolbox.tools.get(params.name), result),
            is_error=result.is_error,
        )

    return Server(site_name, version=opportune.__version__, on_list_tools=list_tools, on_call_tool=call_tool)
