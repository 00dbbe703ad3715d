"""Contents of results: text, pictures, sound and files of a `Response`."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from mcp import MCPError, types

from opportune.contrib.mcp.server.output_schema import MESSAGE_TYPES
from opportune.contrib.tools import Tool
from opportune.contrib.tools.results import JSON, TOOL_FAILED, ToolResult

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
