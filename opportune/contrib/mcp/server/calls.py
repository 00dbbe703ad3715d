"""Calls of the site's functions, with progress, and cancellation by the client."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from mcp import MCPError
from mcp.server.context import ServerRequestContext as Context
from mcp.server.streamable_http import REQUEST_CANCELLED

from opportune.contrib.mcp.server.caller import Caller
from opportune.contrib.mcp.server.cancellation import call_key, cancellable
from opportune.contrib.mcp.server.progress import reported_progress
from opportune.contrib.tools import ToolResult
from opportune.contrib.tools.toolbox import Toolbox


async def run_call(
    context: Context[Any], caller: Caller, toolbox: Toolbox, name: str, arguments: Mapping[str, Any]
) -> ToolResult:
    """Call a function of the toolbox, and send its progress if the client wants it.

    Raises:
        MCPError: The client has cancelled the call.
    """
    async with AsyncExitStack() as stack:
        if context.meta and "progress_token" in context.meta:
            await stack.enter_async_context(reported_progress(context.session))
        with cancellable(call_key(caller.user.id, caller.session_id, context.request_id)) as scope:
            result = await caller.call(toolbox, name, arguments)
    if scope.cancelled_caught:
        raise MCPError(REQUEST_CANCELLED, "The client has cancelled this call.")
    return result
