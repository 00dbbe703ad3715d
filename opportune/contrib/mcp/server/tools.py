"""Tools of the site for clients of the protocol."""

import inspect
from contextlib import AsyncExitStack
from functools import cache
from typing import Any, NamedTuple

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext as Context
from mcp.server.streamable_http import REQUEST_CANCELLED
from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from opportune.contrib.mcp.server.caller import Caller
from opportune.contrib.mcp.server.cancellation import call_key, cancellable
from opportune.contrib.mcp.server.contents import content_block, select_page
from opportune.contrib.mcp.server.progress import reported_progress
from opportune.contrib.tools import Tool, ToolResult

RESULT = "result"
"""Key of results that are not objects, which the protocol requires."""


class OutputSchema(NamedTuple):
    schema: dict[str, Any]
    is_wrapped: bool = False


@cache
def output_schema(tool: Tool) -> OutputSchema | None:
    """Return the JSON Schema of a tool's result, or None without a usable return type."""
    if tool.result_type is inspect.Signature.empty:
        return None
    try:
        schema = TypeAdapter(tool.result_type).json_schema(mode="serialization")
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None
    if schema.get("type") == "object":
        return OutputSchema(schema)
    definitions = {"$defs": schema.pop("$defs")} if "$defs" in schema else {}
    wrapped = {"type": "object", "properties": {RESULT: schema}, "required": [RESULT], **definitions}
    return OutputSchema(wrapped, is_wrapped=True)


def structured_content(tool: Tool | None, result: ToolResult) -> dict[str, Any] | None:
    """Return a result in the form of the output schema, or None for errors and tools without a schema."""
    output = output_schema(tool) if tool and not result.is_error else None
    if output is None:
        return None
    return {RESULT: result.data} if output.is_wrapped else result.data


def tool_handlers(caller: Caller) -> dict[str, Any]:
    toolbox = caller.toolbox

    async def list_tools(_context: Context[Any], params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        tools, cursor = select_page([*caller.allowed(toolbox).values()], params)
        return types.ListToolsResult(tools=[describe(tool) for tool in tools], next_cursor=cursor)

    def describe(tool: Tool) -> types.Tool:
        output = output_schema(tool)
        return types.Tool(
            name=tool.name,
            title=tool.status,
            description=tool.description,
            input_schema=dict(tool.schema.parameters),
            output_schema=output and output.schema,
            annotations=types.ToolAnnotations(read_only_hint=not toolbox.changes(tool.name)),
        )

    async def call_tool(context: Context[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        async with AsyncExitStack() as stack:
            if context.meta and "progress_token" in context.meta:
                await stack.enter_async_context(reported_progress(context.session))
            with cancellable(call_key(caller.user.id, caller.session_id, context.request_id)) as scope:
                result = await caller.call(toolbox, params.name, params.arguments or {})
        if scope.cancelled_caught:
            raise MCPError(REQUEST_CANCELLED, "The client has cancelled this call.")
        return types.CallToolResult(
            content=[content_block(params.name, result)],
            structured_content=structured_content(toolbox.tools.get(params.name), result),
            is_error=result.is_error,
        )

    return {"on_list_tools": list_tools, "on_call_tool": call_tool}
