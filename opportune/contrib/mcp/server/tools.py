"""Tools of the site for clients of the protocol."""

import inspect
from functools import cache
from typing import Any, NamedTuple

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext as Context
from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from opportune.contrib.llm.providers.provider import Message, Picture
from opportune.contrib.mcp.server.caller import Caller
from opportune.contrib.mcp.server.calls import run_call
from opportune.contrib.mcp.server.contents import content_of, message_contents, select_page
from opportune.contrib.tools import Tool, ToolResult

MESSAGE_TYPES = Message, Picture
"""Types of results that are several contents, such as texts and pictures, instead of data."""
RESULT = "result"
"""Key of results that are not objects, which the protocol requires."""


class OutputSchema(NamedTuple):
    schema: dict[str, Any]
    is_wrapped: bool = False


@cache
def output_schema(tool: Tool) -> OutputSchema | None:
    """Return the JSON Schema of a tool's result, or None without a usable return type."""
    if tool.result_type is inspect.Signature.empty or tool.returns(*MESSAGE_TYPES):
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


def structured_content(tool: Tool, result: ToolResult) -> dict[str, Any] | None:
    """Return a result in the form of the output schema, or None for errors and tools without a schema."""
    output = None if result.is_error else output_schema(tool)
    if output is None:
        return None
    return {RESULT: result.data} if output.is_wrapped else result.data


def _contents(tool: Tool, result: ToolResult) -> list[types.ContentBlock]:
    if tool.returns(*MESSAGE_TYPES) and not result.is_error:
        return [content for _role, content in message_contents(result.data)]
    return [content_of(tool.name, result)]


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
        tool = toolbox.tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name}.")
        result = await run_call(context, caller, toolbox, params.name, params.arguments or {})
        return types.CallToolResult(
            content=_contents(tool, result),
            structured_content=structured_content(tool, result),
            is_error=result.is_error,
        )

    return {"on_list_tools": list_tools, "on_call_tool": call_tool}
