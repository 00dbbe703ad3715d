"""In-process requests that return the start of a response, also of an endless one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import Message

from opportune.web.errors.status_texts import STATUS_MESSAGES

HOST = "testserver"
REMOTE_CLIENT = ("203.0.113.9", 50000)
"""Address and port of a client on another machine."""


@dataclass
class Response:
    status: int = 0
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def is_crash(self) -> bool:
        return crashed(self.status, self.text)

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def crashed(status: int, text: str) -> bool:
    """Whether the site crashed. A 503 with its own message is a valid response."""
    return status >= 500 and STATUS_MESSAGES.get(status, "") in text


async def send_request(
    app: FastAPI, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Response:
    """Send a request, and disconnect after the start of the response."""
    path, _, query = url.partition("?")
    all_headers = {"host": HOST, "content-length": str(len(body)), **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path, errors="replace"),
        "raw_path": path.encode(errors="replace"),
        "root_path": "",
        "query_string": query.encode(errors="replace"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in all_headers.items()],
        "client": REMOTE_CLIENT,
        "server": (HOST, 80),
    }
    response = Response()
    started = asyncio.Event()
    unsent_bodies = [body]

    async def receive() -> Message:
        if unsent_bodies:
            return {"type": "http.request", "body": unsent_bodies.pop(), "more_body": False}
        await started.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            response.status = message["status"]
            response.headers = Headers(raw=list(message["headers"]))
        elif message["type"] == "http.response.body":
            response.body += message.get("body", b"")
        started.set()

    await app(scope, receive, send)
    return response
