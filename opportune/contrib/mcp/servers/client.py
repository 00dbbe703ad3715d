"""Asks a server of others, by the SDK's client. Importing that takes half a second: nothing does before it is needed.

It is trusted with what is sent to it, and with nothing else: what it answers is bounded in time and bytes, and data.
"""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx2
from mcp import Client, MCPError, types
from mcp.client.streamable_http import streamable_http_client

from opportune.contrib.mcp.servers.tool import RemoteTool, ServerFailed
from opportune.contrib.mcp.settings import McpServer
from opportune.llm.documents.attachment import DATA_RULE, as_data
from opportune.llm.tools.tool import NAME
from opportune.llm.tools.toolbox import MAX_RESULT_LENGTH

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 25.0
"""Below what a tool may take: who waits is told what it was."""
MAX_RESPONSE_BYTES = 2_000_000
MAX_TOOLS_PER_SERVER = 50
MAX_PAGES = 10
MAX_DESCRIPTION_LENGTH = 1_000
MAX_TITLE_LENGTH = 80
MAX_SCHEMA_LENGTH = 10_000
ROOM_FOR_MARKS = 500
"""Characters of a result that are no part of what the server says."""
LEFT_OUT = "[{} was left out.]"

logger = logging.getLogger(__name__)


async def list_tools(server: McpServer) -> list[RemoteTool]:
    """What a server offers, as far as a model can be told of it.

    Raises:
        ServerFailed: it is away, or what it says is no list of tools.
    """
    found: dict[str, RemoteTool] = {}
    async with _connected(server) as client:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            for each in page.tools:
                if tool := remote_tool(server, each):
                    found.setdefault(tool.name, tool)
            cursor = page.next_cursor
            if not cursor or len(found) >= MAX_TOOLS_PER_SERVER:
                break
    return [*found.values()][:MAX_TOOLS_PER_SERVER]


async def call_tool(server: McpServer, name: str, arguments: dict[str, Any]) -> str:
    """What a tool of a server answers, marked as data.

    Raises:
        ServerFailed: it is away, or says that the call failed.
    """
    async with _connected(server) as client:
        result = await client.call_tool(name, arguments)
    text = "\n\n".join(filter(None, map(_text, result.content)))[: MAX_RESULT_LENGTH - ROOM_FOR_MARKS]
    said = f"{DATA_RULE}\n\n{as_data(f'{server.name}: {name}', text)}"
    if result.is_error:
        raise ServerFailed(f"The tool failed.\n\n{said}")
    return said


def remote_tool(server: McpServer, said: types.Tool) -> RemoteTool | None:
    """None for what no model could call: a name that is too long, or arguments whose description no endpoint takes."""
    name = f"{server.name}_{re.sub(r'[^a-zA-Z0-9_]', '_', said.name)}"
    if not NAME.fullmatch(name) or not _describes_arguments(said.input_schema):
        return None
    hints = said.annotations
    only_reads = bool(hints and hints.read_only_hint)
    title = _line(said.title or (hints and hints.title) or said.name)

    async def call(**arguments: Any) -> str:
        return await call_tool(server, said.name, arguments)

    return RemoteTool(
        call,
        name,
        f"{server.name}: {title}",
        asks=not (only_reads and server.trust_read_only),
        told=(said.description or title)[:MAX_DESCRIPTION_LENGTH],
        parameters=said.input_schema,
    )


def _describes_arguments(schema: dict[str, Any]) -> bool:
    """Endpoints refuse the whole question where one tool's schema is that of no object."""
    properties = schema.get("properties", {})
    is_plain = isinstance(properties, dict) and all(isinstance(each, dict) for each in properties.values())
    return schema.get("type") == "object" and is_plain and len(json.dumps(schema)) <= MAX_SCHEMA_LENGTH


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text[:MAX_TITLE_LENGTH]).strip()


def _text(block: types.ContentBlock) -> str:
    if isinstance(block, types.TextContent):
        return block.text
    if isinstance(block, types.EmbeddedResource) and isinstance(block.resource, types.TextResourceContents):
        return block.resource.text
    return LEFT_OUT.format(block.type)


@asynccontextmanager
async def _connected(server: McpServer) -> AsyncIterator[Client]:
    away = f"The server {server.name} does not answer as it should."
    try:
        async with (
            http_client(server) as http,
            Client(
                streamable_http_client(server.url, http_client=http), read_timeout_seconds=READ_TIMEOUT_SECONDS
            ) as client,
        ):
            client.session.validate_tool_result = _take_as_it_is  # type: ignore[method-assign]
            yield client
    except (MCPError, httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:
        _tell(server, error)
        raise ServerFailed(away) from error
    except BaseExceptionGroup as group:
        failures, others = group.split(Exception)
        if others or failures is None:
            raise
        _tell(server, failures)
        raise ServerFailed(away) from group


async def _take_as_it_is(name: str, result: types.CallToolResult) -> None:
    """By the server's own schema a pattern of its choosing would be matched here, for as long as it likes."""


def _tell(server: McpServer, error: Exception) -> None:
    """Why, for who runs the site: people and models read only that it was so. Words of the server's stay out of it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    logger.warning("MCP_SERVERS: %s failed (%s)", server.name, type(error).__name__)


def http_client(server: McpServer) -> httpx2.AsyncClient:
    """Follows no redirect to elsewhere (the SDK sees to that), and reads so much of an answer and no more."""
    timeout = httpx2.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    headers = server.sent_headers | {"Accept-Encoding": "identity"}
    return httpx2.AsyncClient(headers=headers, timeout=timeout, verify=_tls(), event_hooks={"response": [_bound]})


@cache  # it takes twenty milliseconds
def _tls() -> SSLContext:
    return httpx2.create_ssl_context()


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx2.DecodingError("It was asked for no compression: that could unpack to anything.")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """The body of an answer, up to a bound."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in self._stream:
            received += len(chunk)
            if received > MAX_RESPONSE_BYTES:
                raise httpx2.ReadError("It says too much.")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
