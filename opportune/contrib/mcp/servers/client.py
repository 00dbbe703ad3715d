"""Client of other MCP servers. Import this module on first use only, because the SDK is slow.

Servers are not trusted: their responses are limited in time and size, and marked as data for the model.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
from mcp import Client, MCPError, types
from mcp.client.streamable_http import streamable_http_client

from opportune.contrib.bounded_responses import is_compressed, limit_body
from opportune.contrib.llm.attachments import DATA_RULE, as_data
from opportune.contrib.mcp.servers.tool import RemoteTool, ServerFailed
from opportune.contrib.mcp.settings import McpServer
from opportune.contrib.tools.declaration import NAME
from opportune.contrib.tools.results import MAX_RESULT_LENGTH
from opportune.web.remote_responses import tls_context

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 25.0
"""Less than the timeout of tools, so that the user gets a specific message."""
MAX_RESPONSE_BYTES = 2_000_000
MAX_TOOLS_PER_SERVER = 50
MAX_PAGES = 10
MAX_DESCRIPTION_LENGTH = 1_000
MAX_TITLE_LENGTH = 80
MAX_SCHEMA_LENGTH = 10_000
MARKUP_LENGTH = 500
"""Characters of a result that mark the text as data."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


async def list_tools(server: McpServer) -> list[RemoteTool]:
    """Return the usable tools of a server.

    Raises:
        ServerFailed: The server is unavailable or its response is invalid.
    """
    definitions: dict[str, types.Tool] = {}

    async def read_pages(client: Client) -> None:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            for definition in page.tools:
                if name := usable_name(server, definition):
                    definitions.setdefault(name, definition)
            cursor = page.next_cursor
            if not cursor or len(definitions) >= MAX_TOOLS_PER_SERVER:
                break

    await _ask(server, read_pages)
    tools = [create_remote_tool(server, name, definition) for name, definition in definitions.items()]
    return tools[:MAX_TOOLS_PER_SERVER]


async def call_tool(server: McpServer, name: str, arguments: dict[str, Any]) -> str:
    """Call a tool and return its result, marked as data.

    Raises:
        ServerFailed: The server is unavailable, or the call failed.
    """
    result = await _ask(server, lambda client: client.call_tool(name, arguments))
    text = _result_text(result)[: MAX_RESULT_LENGTH - MARKUP_LENGTH]
    data = f"{DATA_RULE}\n\n{as_data(f'{server.name}: {name}', text)}"
    if result.is_error:
        raise ServerFailed(f"The tool failed.\n\n{data}")
    return data


def usable_name(server: McpServer, definition: types.Tool) -> str | None:
    """Return the name of a tool for models, or None if they cannot call it because of its name or schema."""
    name = f"{server.name}_{re.sub(r'[^a-zA-Z0-9_]', '_', definition.name)}"
    return name if NAME.fullmatch(name) and _is_valid_schema(definition.input_schema) else None


def create_remote_tool(server: McpServer, name: str, definition: types.Tool) -> RemoteTool:
    annotations = definition.annotations or types.ToolAnnotations()
    titles = map(_printable_title, (definition.title or "", annotations.title or "", definition.name))
    title = next(filter(None, titles), name)

    async def call(**arguments: Any) -> str:
        return await call_tool(server, definition.name, arguments)

    return RemoteTool(
        call,
        name,
        f"{server.name}: {title}",
        asks=not (annotations.read_only_hint and server.trust_read_only),
        remote_description=(definition.description or title)[:MAX_DESCRIPTION_LENGTH],
        parameters=definition.input_schema,
    )


def _is_valid_schema(schema: dict[str, Any]) -> bool:
    """Return True for the schema of an object. LLM endpoints refuse a request with any other tool."""
    properties = schema.get("properties", {})
    is_plain = isinstance(properties, dict) and all(isinstance(value, dict) for value in properties.values())
    return schema.get("type") == "object" and is_plain and len(json.dumps(schema)) <= MAX_SCHEMA_LENGTH


def _printable_title(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:MAX_TITLE_LENGTH]).strip()


def _result_text(result: types.CallToolResult) -> str:
    """Return the text of a result, or its structured content if the server sends no text."""
    text = "\n\n".join(filter(None, map(_block_text, result.content)))
    if not text and result.structured_content:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return text


def _block_text(block: types.ContentBlock) -> str:
    if isinstance(block, types.TextContent):
        return block.text
    if isinstance(block, types.EmbeddedResource) and isinstance(block.resource, types.TextResourceContents):
        return block.resource.text
    if isinstance(block, types.ResourceLink):
        return f"{block.title or block.name}: {block.uri}"
    return f"[{block.type} was omitted.]"


async def _ask(server: McpServer, request: Callable[[Client], Awaitable[T]]) -> T:
    """Connect to a server and return the response to a request."""
    unavailable = ServerFailed(f"The server {server.name} is unavailable or responds with errors.")
    try:
        async with (
            http_client(server) as http,
            Client(
                streamable_http_client(server.url, http_client=http), read_timeout_seconds=READ_TIMEOUT_SECONDS
            ) as client,
        ):
            client.session.validate_tool_result = _skip_validation  # type: ignore[method-assign]
            return await request(client)
    except (MCPError, httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:
        _log_error(server, error)
        raise unavailable from error
    except BaseExceptionGroup as group:
        failures, others = group.split(Exception)
        if others or failures is None:
            raise
        _log_error(server, failures)
        raise unavailable from group


async def _skip_validation(name: str, result: types.CallToolResult) -> None:
    """Do not validate results: a server could choose a schema with a regular expression that never ends."""


def _log_error(server: McpServer, error: Exception) -> None:
    """Log the type of an error for the operator, without text of the server."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    logger.warning("MCP_SERVERS: %s failed (%s)", server.name, type(error).__name__)


def http_client(server: McpServer) -> httpx2.AsyncClient:
    """Return an HTTP client that limits the size of responses. The SDK prevents redirects to other hosts."""
    timeout = httpx2.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    headers = server.sent_headers | {"Accept-Encoding": "identity"}
    return httpx2.AsyncClient(
        headers=headers, timeout=timeout, verify=tls_context(), event_hooks={"response": [_limit_size]}
    )


async def _limit_size(response: httpx2.Response) -> None:
    if is_compressed(response):
        raise httpx2.DecodingError("Compressed responses are refused, because they can expand to any size.")
    limit_body(response, MAX_RESPONSE_BYTES, httpx2.ReadError("The response is too large."))
