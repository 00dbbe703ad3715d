"""Read a streamed answer like a browser: reconnect with the last event id after a disconnect."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

RETRY_SECONDS = 0.3
MAX_CONNECTIONS = 60


@dataclass
class StreamedAnswer:
    """Received part of an answer."""

    text: str = ""
    connections: int = 0
    last_id: str = ""
    final_event: str = ""
    """Last event of an answer, `done` or `error`. Empty while the answer is incomplete."""
    final_data: dict[str, Any] = field(default_factory=dict)
    """Data of `final_event`."""
    error_status: str = ""
    """Status of the last response if it was not a stream."""


async def read_answer(client: httpx2.AsyncClient, path: str, answer: StreamedAnswer, seconds: float) -> None:
    """Read a stream to its end, for at most `seconds`, and reconnect when it is closed."""
    try:
        async with asyncio.timeout(seconds):
            while not answer.final_event and answer.connections < MAX_CONNECTIONS:
                await _read_once(client, path, answer)
                if not answer.final_event:
                    await asyncio.sleep(RETRY_SECONDS)
    except TimeoutError:
        return


async def _read_once(client: httpx2.AsyncClient, path: str, answer: StreamedAnswer) -> None:
    headers = {"Last-Event-ID": answer.last_id} if answer.last_id else {}
    answer.connections += 1
    with suppress(httpx2.HTTPError):  # the connection was closed
        async with client.sse(path, headers=headers) as source:
            status = source.response.status_code
            answer.error_status = "" if status == 200 else f"{status} {source.response.reason_phrase}"
            if answer.error_status:
                return
            async for event in source:
                _add_event(answer, event)


def _add_event(answer: StreamedAnswer, event: httpx2.ServerSentEvent) -> None:
    data = json.loads(event.data) if event.data.startswith("{") else {}
    if event.event == "delta":
        answer.text += data.get("text", "")
    elif event.event in ("done", "error"):
        answer.final_event, answer.final_data = event.event, data
    answer.last_id = event.id or answer.last_id
