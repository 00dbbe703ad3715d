"""Contents of results: text, pictures, sound and files of a `Response`."""

import base64
import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from mcp import MCPError, types
from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import FloatSchema

from opportune.contrib.llm.providers.provider import Message, Picture
from opportune.contrib.tools import Tool
from opportune.contrib.tools.results import JSON, TOOL_FAILED, ToolResult

MESSAGE_TYPES = Message, Picture
"""Types of results that are several contents, such as texts and pictures, instead of data."""
RESULT = "result"
"""Key of results that are not objects, which the protocol requires."""


class JsonOutput(GenerateJsonSchema):
    """JSON Schema of serialized results, in which NaN and infinity are null."""

    def float_schema(self, schema: FloatSchema) -> JsonSchemaValue:
        return super().float_schema(schema) | {"type": ["number", "null"]}


class OutputSchema(NamedTuple):
    schema: dict[str, Any]
    is_wrapped: bool = False


@cache
def output_schema(tool: Tool) -> OutputSchema | None:
    """Return the JSON Schema of a tool's result, or None without a usable return type."""
    if tool.result_type is inspect.Signature.empty or tool.returns(*MESSAGE_TYPES):
        return None
    try:
        schema = TypeAdapter(tool.result_type).json_schema(mode="serialization", schema_generator=JsonOutput)
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


Role = Literal["assistant", "user"]


def require_success(result: ToolResult) -> None:
    """Raise MCPError with the message of a failed call. Only tools have results with an error."""
    if result.text == TOOL_FAILED and result.is_error:
        raise MCPError(types.INTERNAL_ERROR, "The request failed on the server.")
    if result.is_error:
        raise MCPError(types.INVALID_PARAMS, result.text)


def tool_contents(tool: Tool, result: ToolResult) -> list[types.ContentBlock]:
    if tool.returns(*MESSAGE_TYPES) and not result.is_error:
        return [content for _role, content in message_contents(result.data)]
    return [text_or_file(tool.name, result)]


def message_contents(data: Any) -> Iterator[tuple[Role, types.ContentBlock]]:
    """Yield the contents of messages, each with its role: of a text, a `Message`, a `Picture`, or a list of these.

    Other data is text as JSON. None has no content.
    """
    for item in data if isinstance(data, list) else [data]:
        match item:
            case None:
                continue
            case {"content": _, "content_type": _}:
                yield "user", _picture_content(item)
            case {"content": str(text)}:
                role: Role = "assistant" if item.get("role") == "assistant" else "user"
                yield role, types.TextContent(type="text", text=text)
                for picture in item.get("pictures", ()):
                    yield role, _picture_content(picture)
            case _:
                text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
                yield "user", types.TextContent(type="text", text=text)


def _picture_content(picture: Mapping[str, str]) -> types.ImageContent:
    return types.ImageContent(type="image", data=picture["content"], mime_type=picture["content_type"])


def text_or_file(name: str, result: ToolResult) -> types.ContentBlock:
    """Return a text or a file as content. `name`: name of the function that returned it."""
    if not result.is_file:
        return types.TextContent(type="text", text=result.text)
    blob = base64.b64encode(result.body).decode()
    media_type = result.media_type
    if media_type.startswith("image/"):
        return types.ImageContent(type="image", data=blob, mime_type=media_type)
    if media_type.startswith("audio/"):
        return types.AudioContent(type="audio", data=blob, mime_type=media_type)
    contents = types.BlobResourceContents(uri=f"tool://{name}", mime_type=media_type, blob=blob)
    return types.EmbeddedResource(type="resource", resource=contents)


def resource_contents(uri: str, result: ToolResult) -> types.TextResourceContents | types.BlobResourceContents:
    """Return the result of a resource.

    Raises:
        MCPError: The resource failed.
    """
    require_success(result)
    media_type = result.media_type
    if result.is_file:
        return types.BlobResourceContents(uri=uri, mime_type=media_type, blob=base64.b64encode(result.body).decode())
    if media_type == JSON and isinstance(result.data, str):
        return types.TextResourceContents(uri=uri, mime_type="text/plain", text=result.data)
    return types.TextResourceContents(uri=uri, mime_type=media_type, text=result.body.decode(errors="replace"))
