"""Streamed answers of a language model, read while the host closes connections."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from opportune.contrib.deploy.rehearsal.fakes import model_answer
from opportune.contrib.deploy.rehearsal.host_rules import WORD_COUNT
from opportune.contrib.deploy.rehearsal.instance import RETRY_SECONDS
from opportune.contrib.deploy.rehearsal.stage import Stage, StepFailed, StepSkipped
from opportune.plurals import pluralize

MAX_CONNECTIONS = 60


@dataclass
class StreamedAnswer:
    """Received part of an answer."""

    path: str
    """Path of its stream."""
    expected: str
    text: str = ""
    connections: int = 0
    last_id: str = ""
    final_event: str = ""
    """Last event of an answer, `done` or `error`. Empty while the answer is incomplete."""
    final_data: dict[str, Any] = field(default_factory=dict)
    """Data of `final_event`."""
    error_status: str = ""
    """Status of the last response if it was not a stream."""


async def read_answer(client: httpx2.AsyncClient, answer: StreamedAnswer, seconds: float) -> None:
    """Read a stream to its end, for at most `seconds`, and reconnect when it is closed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not answer.final_event and answer.connections < MAX_CONNECTIONS:
                await _read_once(client, answer)
                if not answer.final_event:
                    await asyncio.sleep(RETRY_SECONDS)


async def _read_once(client: httpx2.AsyncClient, answer: StreamedAnswer) -> None:
    headers = {"Last-Event-ID": answer.last_id} if answer.last_id else {}
    answer.connections += 1
    with suppress(httpx2.HTTPError):  # the connection was closed
        async with client.sse(answer.path, headers=headers) as source:
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
        answer.final_event = event.event
        answer.final_data = data
    answer.last_id = event.id or answer.last_id


async def stream_answer(stage: Stage) -> str:
    """Stream an LLM answer while the host closes connections."""
    answer = await ask_question(stage)
    await read_answer(stage.visitor.client, answer, stage.rules.answer_seconds)
    require_complete(answer)
    reconnects = answer.connections - 1
    summary = f"continued after {pluralize(reconnects, 'closed connection')}" if reconnects else "in one connection"
    return f"{len(answer.expected.split())} words {summary}"


async def ask_question(stage: Stage) -> StreamedAnswer:
    """Ask a question. Return the answer before its first word."""
    if stage.endpoint is None:
        raise StepSkipped("this site has no endpoint that responds with 202 and a stream_url")
    body = dict.fromkeys(stage.endpoint.fields, f"Rehearsal: say {WORD_COUNT} words.")
    headers = {"Origin": stage.base_url, "Accept": "application/json"}
    response = await stage.visitor.client.post(stage.endpoint.path, json=body, headers=headers)
    if response.status_code != 202:
        message = f"{stage.endpoint.path} returns {response.status_code} {response.text[:200]}"
        raise StepFailed(message, "see the log (--keep) and oppman.py docs llm")
    return StreamedAnswer(response.json()["stream_url"], model_answer(WORD_COUNT))


def require_complete(answer: StreamedAnswer) -> None:
    if answer.final_event == "done" and answer.text.strip() == answer.expected:
        return
    received = f"{len(answer.text.split())} of {len(answer.expected.split())} words"
    if not answer.final_event:
        status = f" ({answer.error_status})" if answer.error_status else ""
        raise StepFailed(
            f"the stream ended after {received} and {answer.connections} connections, without `done`{status}",
            "give every event an id, and continue from Last-Event-ID, as `answers.ask` does (oppman.py docs llm-pages)",
        )
    message = str(answer.final_data.get("message") or answer.final_data.get("error") or "")[:200]
    raise StepFailed(
        f"{received} arrived, then `{answer.final_event}` {message}".strip(),
        "a closed stream must continue where it ended: `answers.ask` stores partial answers (oppman.py docs llm-pages)",
    )
