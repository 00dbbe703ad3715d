"""A misbehaving HTTP server on 127.0.0.1."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple, TypeVar

# "hang": send nothing until the client disconnects.
Step = bytes | asyncio.Event | Literal["hang"]


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    """By name in lower case."""
    content: bytes


class FakeEndpoint:
    """Plays its steps in order for every request."""

    def __init__(self, *steps: Step) -> None:
        self.steps: Sequence[Step] = steps
        self.refuse: Callable[[dict[str, Any]], bytes | None] = lambda _: None
        """Returns the response to the body of a request that is refused."""
        self.requests: list[Request] = []
        self.headers: list[bytes] = []
        self.bodies: list[dict[str, Any]] = []
        self.requested = asyncio.Event()
        self.disconnected = asyncio.Event()
        """The client disconnected before the end."""
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            for step in self.steps_for(await self._record(head, reader)):
                await self._play(step, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):  # or the client disconnected before its request
            self.disconnected.set()
        finally:
            writer.close()

    def steps_for(self, body: dict[str, Any]) -> Sequence[Step]:
        refusal = self.refuse(body)
        return (refusal,) if refusal else self.steps

    async def _record(self, head: bytes, reader: asyncio.StreamReader) -> dict[str, Any]:
        first_line, *lines = head.decode("latin-1").strip().split("\r\n")
        method, target, _ = first_line.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        is_json = "json" in headers.get("content-type", "")
        self.requests.append(Request(method, target, headers, content))
        self.headers.append(head)
        self.bodies.append(json.loads(content) if is_json else {"upload": content})
        self.requested.set()
        return self.bodies[-1]

    def refuse_parameter(self, name: str, refusal: bytes = b"") -> None:
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


def response(status: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_response(value: object, status: str = "200 OK", *fields: str) -> bytes:
    return response(status, json.dumps(value).encode(), "Content-Type: application/json", *fields)


def _extra_forbidden(parameter: str) -> bytes:
    detail = [{"type": "extra_forbidden", "loc": ["body", parameter], "msg": "Extra inputs are not permitted"}]
    body = {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}
    return json_response(body, "422 Unprocessable Entity")


E = TypeVar("E", bound=FakeEndpoint)


@asynccontextmanager
async def serve(endpoint: E, **options: Any) -> AsyncIterator[E]:
    async with await asyncio.start_server(endpoint.respond, "127.0.0.1", 0, **options) as server:
        endpoint.port = server.sockets[0].getsockname()[1]
        yield endpoint


@asynccontextmanager
async def serve_endpoint(*steps: Step) -> AsyncIterator[FakeEndpoint]:
    async with serve(FakeEndpoint(*steps)) as endpoint:
        yield endpoint
