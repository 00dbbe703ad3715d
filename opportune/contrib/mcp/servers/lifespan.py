"""List the tools of other servers after the start, and again every hour."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI

from opportune.contrib.mcp.lazy_import import load
from opportune.contrib.mcp.servers.tool import RemoteTool, ServerFailed
from opportune.contrib.mcp.settings import McpServer, McpSettings
from opportune.contrib.tools.site_tools import offer
from opportune.services.tasks import running

LIST_INTERVAL_SECONDS = 3600.0
RETRY_SECONDS = 60.0
"""Interval after a failure."""
LIST_TIMEOUT_SECONDS = 30.0

logger = logging.getLogger(__name__)


@asynccontextmanager
async def listed_servers(app: FastAPI) -> AsyncIterator[None]:
    servers = app.state.settings.of(McpSettings).mcp_servers
    async with running(_refresh_tools(app, servers) if servers else None):
        yield


async def _refresh_tools(app: FastAPI, servers: Sequence[McpServer]) -> None:
    tools_by_server: dict[str, list[RemoteTool]] = {}
    while True:
        lists = await asyncio.gather(*map(_list_tools, servers))
        for server, tools in zip(servers, lists, strict=True):
            if tools is not None:
                tools_by_server[server.name] = tools
        offer(app, "mcp", [tool for tools in tools_by_server.values() for tool in tools])
        await asyncio.sleep(RETRY_SECONDS if None in lists else LIST_INTERVAL_SECONDS)


async def _list_tools(server: McpServer) -> list[RemoteTool] | None:
    """Return the tools of a server, or None after a failure, so that its previous tools remain."""
    await load("opportune.contrib.mcp.servers.client")
    from opportune.contrib.mcp.servers import client  # the MCP library is slow

    try:
        async with asyncio.timeout(LIST_TIMEOUT_SECONDS):
            return await client.list_tools(server)
    except ServerFailed:  # already logged
        return None
    except Exception as error:  # noqa: BLE001 - other servers may cause any error
        logger.warning("MCP_SERVERS: the tools of %s cannot be listed (%s)", server.name, type(error).__name__)
        return None
