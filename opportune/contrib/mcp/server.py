"""Server of the protocol, using its SDK. Import this module on the first message only, because the SDK is slow."""

import inspect
import json
import logging
from dataclasses import dataclass
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import opportune
from opportune.accounts.models import ApiToken, User
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.tools.declaration import Tool
from opportune.contrib.tools.toolbox import Headers, Toolbox, ToolResult, toolbox_of

RESULT = "result"
"""Key of results that are not objects, which the protocol requires."""


def output_schema(tool: Tool) -> dict[str, Any] | None:
    """Return the JSON Schema of a tool's result, or None without a usable return type."""
    if tool.result_type is inspect.Signature.empty:
        return None
    try:
        schema = TypeAdapter(tool.result_type).json_schema(mode="serialization")
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None
    if schema.get("type") == "object":
        return schema
    definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    return {"type": "object", "properties": {RESULT: schema}, "required": [RESULT], **definitions}


def structured_content(tool: Tool | None, result: ToolResult) -> dict[str, Any] | None:
    """Return a result in the form of the output schema, or None for errors and tools without a schema."""
    schema = output_schema(tool) if tool and not result.is_error else None
    if schema is None:
        return None
    is_object = isinstance(result.data, dict) and [*schema.get("properties", ())] != [RESULT]
    return result.data if is_object else {RESULT: result.data}


@dataclass(frozen=True)
class Caller:
    toolbox: Toolbox
    user: User
    token: ApiToken
    headers: Headers = ()
    """Additional headers for tools, such as the team."""

    @property
    def tools(self) -> list[Tool]:
        """Tools allowed by the token's scopes."""
        return list(self.toolbox.allowed(self.token.scopes).tools.values())

    async def call(self, call: ToolCall) -> ToolResult:
        if call.name in self.toolbox.tools and (missing := self.toolbox.missing_scopes(call.name, self.token.scopes)):
            return ToolResult(f"This token lacks the scope {' and '.join(missing)}.", is_error=True)
        return await self.toolbox.call(call, self.user, token=self.token, headers=self.headers)


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
