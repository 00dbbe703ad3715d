"""A misbehaving endpoint on 127.0.0.1."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
# The body is shorter than this, so that the connection is cut.
EVENTS_TO_BE_CUT = EVENTS.replace(b"Connection: close", b"Content-Length: 1000000")
DONE = b"data: [DONE]\n\n"
STOP: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


# "hang": send nothing until the client disconnects.
Step = bytes | asyncio.Event | Literal["hang"]


class FakeEndpoint:
    """Plays its steps in order for every request."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.refuse: Callable[[dict[str, Any]], bytes | None] = lambda _: None
        """Returns the response to the body of a request that is refused."""
        self.headers: list[bytes] = []
        self.bodies: list[dict[str, Any]] = []
        self.requested = asyncio.Event()
        self.disconnected = asyncio.Event()
        """The client disconnected before the end."""
        self.address = ""

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.headers.append(head)
            content = await reader.readexactly(_length(head))
            self.bodies.append({"upload": content} if b"multipart/form-data" in head else json.loads(content))
            self.requested.set()
            refusal = self.refuse(self.bodies[-1])
            for step in (refusal,) if refusal else self.steps:
                await self._play(step, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):  # or the client disconnected before its request
            self.disconnected.set()
        finally:
            writer.close()

    def refuse_parameter(self, name: str, refusal: bytes = b"") -> None:
        """Refuse requests with this parameter, by default like Mistral's API."""
        self.refuse = lambda body: (refusal or _extra_forbidden(name)) if name in body else None

    async def _play(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif isinstance(step, asyncio.Event):
            await step.wait()
        else:
            await reader.read()
            self.disconnected.set()


def _length(head: bytes) -> int:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    return int(fields[b"content-length"])


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def text(content: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]})


def response(status: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _extra_forbidden(parameter: str) -> bytes:
    """Return the rejection of a parameter, worded like Mistral's API."""
    detail = [{"type": "extra_forbidden", "loc": ["body", parameter], "msg": "Extra inputs are not permitted"}]
    body = {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}
    return response("422 Unprocessable Entity", json.dumps(body).encode())


@asynccontextmanager
async def serve_endpoint(*steps: Step) -> AsyncIterator[FakeEndpoint]:
    endpoint = FakeEndpoint(*steps)
    async with await asyncio.start_server(endpoint.respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        endpoint.address = f"http://127.0.0.1:{port}/v1"
        yield endpoint
