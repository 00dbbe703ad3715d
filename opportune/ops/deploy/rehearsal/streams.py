"""An answer that streams, read as a page reads it: cut off, it is asked for again from where it was."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

RETRY_SECONDS = 0.3
MAX_CONNECTIONS = 60


@dataclass
class StreamedAnswer:
    """What came, and in how many connections."""

    text: str = ""
    connections: int = 0
    last_id: str = ""
    end: str = ""
    """`done` or `error`, the last event of every answer; empty as long as neither has come."""
    said: dict[str, Any] = field(default_factory=dict)
    """What that event told."""
    refusal: str = ""
    """What the site answered in place of the stream, the last time."""


async def read_answer(client: httpx.AsyncClient, path: str, answer: StreamedAnswer, seconds: float) -> None:
    """Read the stream to its end, connecting again whenever it is cut, for so long at most."""
    try:
        async with asyncio.timeout(seconds):
            while not answer.end and answer.connections < MAX_CONNECTIONS:
                await _read_once(client, path, answer)
                if not answer.end:
                    await asyncio.sleep(RETRY_SECONDS)
    except TimeoutError:
        return


async def _read_once(client: httpx.AsyncClient, path: str, answer: StreamedAnswer) -> None:
    headers = {"Accept": "text/event-stream"}
    if answer.last_id:
        headers["Last-Event-ID"] = answer.last_id
    answer.connections += 1
    try:
        async with client.stream("GET", path, headers=headers) as response:
            if response.status_code != 200:
                answer.refusal = f"{response.status_code} {response.reason_phrase}"
                return
            answer.refusal = ""
            event: dict[str, str] = {}
            async for line in response.aiter_lines():
                if line:
                    name, _, value = line.partition(":")
                    event[name] = value.removeprefix(" ")
                else:
                    _take(answer, event)
                    event = {}
    except httpx.HTTPError:  # it was cut
        return


def _take(answer: StreamedAnswer, event: dict[str, str]) -> None:
    data = json.loads(event["data"]) if event.get("data", "").startswith("{") else {}
    if event.get("event") == "delta":
        answer.text += data.get("text", "")
    elif event.get("event") in ("done", "error"):
        answer.end, answer.said = event["event"], data
    answer.last_id = event.get("id") or answer.last_id
