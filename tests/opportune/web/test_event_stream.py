"""End of event streams: after the last event, or after a disconnect."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from opportune.web import EventStream

TIMEOUT_SECONDS = 30
SCOPE = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}}


class Visitor:
    """ASGI client that records messages, and disconnects when `has_left` is set."""

    def __init__(self) -> None:
        self.body = b""
        self.has_left = asyncio.Event()

    async def receive(self) -> Message:
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.body += message.get("body", b"")


class Source:
    """Yields an event, then waits forever or raises an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.is_waiting = asyncio.Event()
        self.is_closed = False

    async def events(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"data: 1\n\n"
            if self.error:
                raise self.error
            self.is_waiting.set()
            await asyncio.Event().wait()
        finally:
            self.is_closed = True


async def one_event() -> AsyncGenerator[bytes, None]:
    yield b"data: 1\n\n"


async def send_stream(stream: EventStream, visitor: Visitor, receive: Receive | None = None) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await stream(SCOPE, receive or visitor.receive, visitor.send)


async def test_stream_ends_after_last_event() -> None:
    before, visitor = asyncio.all_tasks(), Visitor()
    await send_stream(EventStream(one_event()), visitor)
    assert visitor.body == b"data: 1\n\n"
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_disconnect_ends_silent_stream() -> None:
    source, visitor = Source(), Visitor()
    async with asyncio.TaskGroup() as group:
        group.create_task(send_stream(EventStream(source.events()), visitor))
        await source.is_waiting.wait()
        visitor.has_left.set()
    assert source.is_closed


async def test_timeout_of_events_is_raised() -> None:
    source = Source(TimeoutError("of the database"))
    with pytest.raises(TimeoutError, match="of the database"):
        await send_stream(EventStream(source.events()), Visitor())
    assert source.is_closed


async def test_error_of_receive_is_raised() -> None:
    source = Source()

    async def receive() -> Message:
        await source.is_waiting.wait()
        raise ValueError("too much was sent")

    with pytest.raises(ValueError, match="too much was sent"):
        await send_stream(EventStream(source.events()), Visitor(), receive)
    assert source.is_closed


async def test_cancelled_request_ends_stream() -> None:
    source = Source()
    request = asyncio.create_task(send_stream(EventStream(source.events()), Visitor()))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await source.is_waiting.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert source.is_closed


async def test_raising_send_needs_no_receive() -> None:
    source = Source()

    async def send(_message: Message) -> None:
        raise OSError

    async def receive() -> Message:
        raise AssertionError

    scope = {**SCOPE, "asgi": {"version": "3.0", "spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        await EventStream(source.events())(scope, receive, send)


async def test_background_task_runs_after_last_event() -> None:
    visitor, stream, bodies = Visitor(), EventStream(one_event()), list[bytes]()

    async def record_body() -> None:
        bodies.append(visitor.body)

    stream.background = record_body  # type: ignore[assignment]  # as FastAPI does
    await send_stream(stream, visitor)
    assert bodies == [b"data: 1\n\n"]
