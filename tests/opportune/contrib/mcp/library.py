"""Site with tools, and clients of it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from fastapi import FastAPI

from opportune.accounts import CurrentUser, User
from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import tool
from opportune.db import WriteSession
from opportune.feature import Feature, Llm
from opportune.features import accounts, mcp
from opportune.testing import make_token
from opportune.testing.app import create_test_app
from opportune.testing.services.browser import serve

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

MODERN, LEGACY = "auto", "legacy"
BOTH_MODES = pytest.mark.parametrize("mode", [MODERN, LEGACY])
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
SITE = "http://testserver"
ACCEPT = {"Accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


Connect = Callable[..., AbstractAsyncContextManager["Client"]]


async def whoami(user: CurrentUser) -> str:
    """Return the user."""
    return user.email


async def sign_out_everywhere(user: CurrentUser, session: WriteSession) -> str:
    """Change something."""
    return f"Changed for {user.email}."


async def crash() -> str:
    """Crash."""
    raise RuntimeError("the password is sesame")


async def send_message(user: CurrentUser) -> str:
    """Send a message."""
    return f"Sent for {user.email}."


for function in (whoami, sign_out_everywhere, crash, send_message):
    function.__module__ = "app.library.tools"

TOOLS = [whoami, sign_out_everywhere, tool(crash, status="Crashing"), tool(send_message, asks=True)]
LIBRARY = Feature("library", "Books.", llm=Llm(tools=TOOLS))


def create_site(app: FastAPI, *features: Feature) -> FastAPI:
    settings = app.state.settings.model_copy(update={"base_url": SITE})
    site = create_test_app(settings, [accounts, mcp, *features])
    site.state._state.update({name: getattr(app.state, name) for name in ("database", "rate_limiter", "last_seen")})
    return site


@asynccontextmanager
async def connect(
    site: FastAPI, user: User, scopes: str = "read write", mode: Any = MODERN, **headers: str
) -> AsyncIterator["Client"]:
    token = await make_token(site.state.database, user, scopes)
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}", "Host": "testserver", **headers})
    async with serve(site) as address, open_mcp_client(f"{address}/mcp", http, mode) as client:
        yield client


@asynccontextmanager
async def open_mcp_client(url: str, http: httpx2.AsyncClient, mode: Any = MODERN) -> AsyncIterator["Client"]:
    from mcp import Client  # the SDK is slow to import, which would delay the collection of tests
    from mcp.client.streamable_http import streamable_http_client  # as above

    transport = streamable_http_client(url, http_client=http)
    async with http, Client(transport, mode=mode, read_timeout_seconds=60) as client:
        yield client


def call(name: str, /, **arguments: Any) -> ToolCall:
    return ToolCall("1", name, json.dumps(arguments))


def read_text(result: "CallToolResult") -> str:
    from mcp.types import TextContent  # as in `open_mcp_client`

    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def error_of(request: Awaitable[object]) -> tuple[int, str]:
    from mcp import MCPError  # as in `open_mcp_client`

    with pytest.raises(MCPError) as caught:
        await request
    return caught.value.code, caught.value.message
