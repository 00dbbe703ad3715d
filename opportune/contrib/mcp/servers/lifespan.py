"""Knows what servers of others offer: asked beside the site as it starts, and again each hour."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from opportune.contrib.mcp.lazy_import import load
from opportune.contrib.mcp.servers.tool import RemoteTool, ServerFailed
from opportune.contrib.mcp.settings import McpServer, McpSettings
from opportune.llm.tools.toolbox import offer
from opportune.runtime.tasks import cancel_and_wait

LIST_INTERVAL_SECONDS = 3600.0
RETRY_SECONDS = 60.0
"""Where one of them did not answer."""
LIST_TIMEOUT_SECONDS = 30.0

logger = logging.getLogger(__name__)


@asynccontextmanager
async def listed_servers(app: FastAPI) -> AsyncIterator[None]:
    servers = app.state.settings.of(McpSettings).mcp_servers
    listing = asyncio.create_task(_keep_listed(app, servers)) if servers else None
    try:
        yield
    finally:
        await cancel_and_wait(listing)


async def _keep_listed(app: FastAPI, servers: Sequence[McpServer]) -> None:
    known: dict[str, list[RemoteTool]] = {}
    while True:
        lists = await asyncio.gather(*map(_list, servers))
        known |= {server.name: tools for server, tools in zip(servers, lists, strict=True) if tools is not None}
        offer(app, "mcp", [tool for tools in known.values() for tool in tools])
        await asyncio.sleep(RETRY_SECONDS if None in lists else LIST_INTERVAL_SECONDS)


async def _list(server: McpServer) -> list[RemoteTool] | None:
    """None if it does not answer: what it offered before counts, and calls say themselves that it is away."""
    await load("opportune.contrib.mcp.servers.client")
    from opportune.contrib.mcp.servers import client  # noqa: PLC0415 - the library of MCP imports slowly

    try:
        async with asyncio.timeout(LIST_TIMEOUT_SECONDS):
            return await client.list_tools(server)
    except Exception as error:  # noqa: BLE001 - whatever somebody else's server makes of it
        if not isinstance(error, ServerFailed):  # that one has been told
            logger.warning("MCP_SERVERS: %s does not tell its tools (%s)", server.name, type(error).__name__)
        return None
