"""Contents of results (text, and the pictures, sound and files of a `Response`), and errors instead of them."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeVar

from mcp import MCPError, types

from opportune.contrib.tools.results import JSON, TOOL_FAILED, ToolResult

Role = Literal["assistant", "user"]
MAX_CONTENT_BYTES = 2_000_000


def require_success(result: ToolResult) -> None:
    """Raise MCPError with the message of a failed call. Only tools have results with an error."""
    if result.text == TOOL_FAILED and result.is_error:
        raise MCPError(types.INTERNAL_ERROR, "The request failed on the server.")
    if result.is_error:
        raise MCPError(types.INVALID_PARAMS, result.text)


def message_contents(data: Any) -> Iterator[tuple[Role, types.ContentBlock]]:
    """Yield the contents of messages, each with its role: of a text, a `Message`, a `Picture`, or a list of these."""
    for item in data if isinstance(data, list) else [data]:
        fields = item if isinstance(item, dict) else {"content": item}
        role: Role = "assistant" if fields.get("role") == "assistant" else "user"
        is_picture = "content_type" in fields
        if not is_picture:
            yield role, types.TextContent(type="text", text=str(fields["content"]))
        for picture in [fields] if is_picture else fields.get("pictures", ()):
            yield role, types.ImageContent(type="image", data=picture["content"], mime_type=picture["content_type"])


def content_of(name: str, result: ToolResult) -> types.ContentBlock:
    """Return a text or a file as content. `name`: name of the function that returned it."""
    if not result.is_file:
        return types.TextContent(type="text", text=result.text)
    blob, media_type = _encode(result.body), result.media_type
    if media_type.startswith("image/"):
        return types.ImageContent(type="image", data=blob, mime_type=media_type)
    if media_type.startswith("audio/"):
        return types.AudioContent(type="audio", data=blob, mime_type=media_type)
    contents = types.BlobResourceContents(uri=f"tool://{name}", mime_type=media_type, blob=blob)
    return types.EmbeddedResource(type="resource", resource=contents)


def resource_contents(uri: str, result: ToolResult) -> types.TextResourceContents | types.BlobResourceContents:
    """Return the result of a resource.

    Raises:
        MCPError: The resource failed, or is too large.
    """
    require_success(result)
    media_type, blob = result.media_type, _encode(result.body)
    if result.is_file:
        return types.BlobResourceContents(uri=uri, mime_type=media_type, blob=blob)
    if media_type == JSON and isinstance(result.data, str):
        return types.TextResourceContents(uri=uri, mime_type="text/plain", text=result.data)
    return types.TextResourceContents(uri=uri, mime_type=media_type, text=result.body.decode(errors="replace"))


def _encode(body: bytes) -> str:
    if len(body) > MAX_CONTENT_BYTES:
        raise MCPError(types.INVALID_PARAMS, f"The content is larger than {MAX_CONTENT_BYTES:,} bytes.")
    return base64.b64encode(body).decode()


T = TypeVar("T")

MAX_ITEMS_PER_PAGE = 100


def select_page(items: Sequence[T], params: types.PaginatedRequestParams | None) -> tuple[list[T], str | None]:
    """Return the requested items, and the cursor of the next page.

    Raises:
        MCPError: The cursor is not one of this list.
    """
    cursors = [str(start) for start in range(MAX_ITEMS_PER_PAGE, len(items), MAX_ITEMS_PER_PAGE)]
    cursor = params.cursor if params else None
    if cursor is not None and cursor not in cursors:
        raise MCPError(types.INVALID_PARAMS, "This cursor is not valid. List from the start.")
    start = int(cursor or 0)
    end = start + MAX_ITEMS_PER_PAGE
    return [*items[start:end]], str(end) if end < len(items) else None
