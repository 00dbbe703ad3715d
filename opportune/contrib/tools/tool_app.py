"""Internal application with the routes of tools. No HTTP request can reach it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message

from opportune.contrib.tools.declaration import Tool, ToolRequest
from opportune.contrib.tools.results import ToolResult, read_result
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.jobs import RetryLater
from opportune.jobs.leases import JobCancelled
from opportune.web.errors.handlers import add_error_handlers
from opportune.web.routing.api_router import with_dependencies

Headers = Sequence[tuple[bytes, bytes]]
MAX_BODY_BYTES = 20_000_000
"""Maximum size of a result in memory, such as that of a route which streams a file."""
logger = logging.getLogger(__name__)


class _BodyTooLarge(Exception):
    """The result exceeds `MAX_BODY_BYTES`."""


class ToolApp:
    """Application with a route for each tool, so that tools have the dependencies of routes, such as `CurrentUser`."""

    def __init__(self, site: FastAPI, tools: Mapping[str, Tool]) -> None:
        self._site = site
        self._tools = tools

    @cached_property
    def _app_and_routes(self) -> tuple[FastAPI, dict[str, APIRoute]]:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.state = self._site.state
        app.dependency_overrides = self._site.dependency_overrides
        add_error_handlers(app, self._site.state.features)
        return app, {name: tool.add_to(app) for name, tool in self._tools.items()}

    def route(self, name: str) -> APIRoute:
        """Return the route of a tool. The first call creates the routes of all tools."""
        return self._app_and_routes[1][name]

    def dependency_calls(self, name: str) -> set[object]:
        """Return the functions on which a tool depends, also indirectly."""
        calls: set[object] = {dependant.call for dependant in with_dependencies(self.route(name).dependant)}
        return calls | {getattr(call, "session", None) for call in calls}

    async def send(self, name: str, request: ToolRequest, headers: Headers, state: Mapping[str, Any]) -> ToolResult:
        """Send a request to the route of a tool. `state`: attributes of `request.state` for its dependencies.

        Raises:
            RetryLater: The tool runs as a job and wants to be repeated.
            JobCancelled: The tool runs as a job that was cancelled.
        """
        app, _ = self._app_and_routes
        scope = _scope_of(request, headers, state)
        start: dict[str, Any] = {}
        body = bytearray()
        received: list[Message] = [{"type": "http.request", "body": request.body}]

        async def receive() -> Any:
            # A response that streams waits for a disconnect, which never comes.
            return received.pop() if received else await asyncio.Event().wait()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            body.extend(message.get("body", b""))
            if len(body) > MAX_BODY_BYTES:
                raise _BodyTooLarge

        try:
            with changes_come_from(ChangeOrigin(f"tool {name}", scope)):
                await app(scope, receive, send)
        except (RetryLater, JobCancelled):
            raise
        except _BodyTooLarge:
            return ToolResult(f"The result is larger than {MAX_BODY_BYTES:,} bytes.", is_error=True)
        except (Exception, SystemExit, asyncio.CancelledError):  # argparse exits, which would end the site
            task = asyncio.current_task()
            if task and task.cancelling():  # otherwise the tool awaited a task that was cancelled
                raise
            logger.exception("tool %s", name)
            return read_result(500, b"")
        media_type = dict(start["headers"]).get(b"content-type", b"").decode("latin-1")
        return read_result(start["status"], bytes(body), media_type)


def _scope_of(request: ToolRequest, headers: Headers, state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": quote(request.path).encode(),
        "query_string": request.query,
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"accept", b"application/json"), *headers],
        "client": None,
        "server": None,
        "state": dict(state),
    }
