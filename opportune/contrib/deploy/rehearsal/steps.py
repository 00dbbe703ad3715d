"""Steps of a rehearsal: starts, streamed answers, redeploy and stop. Each passes, fails with a fix, or is skipped."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from opportune.contrib.deploy.rehearsal.fakes import model_answer
from opportune.contrib.deploy.rehearsal.page_steps import (
    check_admin,
    check_data_after_deploy,
    check_visitor_address,
    create_first_superuser,
    sign_up,
    upload_picture,
)
from opportune.contrib.deploy.rehearsal.process import POLL_SECONDS, Instance
from opportune.contrib.deploy.rehearsal.rules import WORD_COUNT
from opportune.contrib.deploy.rehearsal.stage import (
    Outcome,
    Result,
    Stage,
    StepFailed,
    StepSkipped,
    require_instance,
    suggest_fix,
)
from opportune.plurals import pluralize

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


async def stream_answer(stage: Stage) -> str:
    """Stream an LLM answer while the host closes connections."""
    answer, path, expected = await _ask_question(stage)
    await read_answer(stage.visitor.client, path, answer, stage.rules.answer_seconds)
    require_complete(answer, expected)
    reconnects = answer.connections - 1
    summary = f"continued after {pluralize(reconnects, 'closed connection')}" if reconnects else "in one connection"
    return f"{len(expected.split())} words {summary}"


async def _ask_question(stage: Stage) -> tuple[StreamedAnswer, str, str]:
    """Ask a question. Return an empty answer, the path of its stream, and the expected text.

    Raises:
        StepSkipped: The site has no endpoint with streamed answers.
        StepFailed: The request was refused.
    """
    if stage.endpoint is None:
        raise StepSkipped("this site has no endpoint that responds with 202 and a stream_url")
    body = dict.fromkeys(stage.endpoint.fields, f"Rehearsal: say {WORD_COUNT} words.")
    headers = {"Origin": stage.base_url, "Accept": "application/json"}
    response = await stage.visitor.client.post(stage.endpoint.path, json=body, headers=headers)
    if response.status_code != 202:
        message = f"{stage.endpoint.path} returns {response.status_code} {response.text[:200]}"
        raise StepFailed(message, "see the log (--keep) and oppman.py docs llm")
    return StreamedAnswer(), response.json()["stream_url"], model_answer(WORD_COUNT)


def require_complete(answer: StreamedAnswer, expected: str) -> None:
    if answer.final_event == "done" and answer.text.strip() == expected:
        return
    received = f"{len(answer.text.split())} of {len(expected.split())} words"
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


async def redeploy(stage: Stage) -> str:
    """Deploy a new version during an answer. The old process gets the stop signal and its grace period."""
    old = require_instance(stage)
    stage.launcher.deploy()
    new = await stage.start()
    if stage.loses_rows:
        return f"{_describe_stop(stage, await _switch_to(stage, old, new))}; its SQLite database was deleted"
    try:
        answer, path, expected = await _ask_question(stage)
    except StepSkipped:
        duration = await _switch_to(stage, old, new)
        return f"{_describe_stop(stage, duration)}; this site has no streamed answers"
    reader_task = asyncio.create_task(read_answer(stage.visitor.client, path, answer, stage.rules.answer_seconds))
    try:
        while not (answer.text or reader_task.done()):  # noqa: ASYNC110 - there is no event for the first word
            await asyncio.sleep(POLL_SECONDS)
        duration = await _switch_to(stage, old, new)
        await reader_task
    finally:
        reader_task.cancel()
    require_complete(answer, expected)
    connections = pluralize(answer.connections, "connection")
    return f"{_describe_stop(stage, duration)}; the answer in progress is complete after {connections}"


async def _switch_to(stage: Stage, old: Instance, new: Instance) -> float:
    """Route requests to the new process and stop the old one. Return the duration of the stop."""
    stage.instance, stage.router.site_port = new, new.port
    duration = await old.stop(stage.rules.host.stop_signal, stage.rules.stop_seconds)
    require_stopped(stage, old, duration)
    return duration


def _describe_stop(stage: Stage, seconds: float) -> str:
    return f"the old process ended {seconds:.1f} s after {stage.rules.host.stop_signal}"


def require_stopped(stage: Stage, instance: Instance, seconds: float) -> None:
    """Raise StepFailed for a process that had to be killed, unless the host gives no time to stop."""
    if instance.was_killed and stage.rules.stop_seconds:
        raise StepFailed(
            f"the old process was killed {seconds:.1f} s after {stage.rules.host.stop_signal}, because it did not end",
            "end long work when `shutting_down(app)` is set, and set ANSWER_GRACE_SECONDS below the host's stop time",
        )


async def start_first_time(stage: Stage) -> str:
    """Start the site for the first time, with an empty and sleeping database."""
    start = time.monotonic()
    stage.instance = await stage.start()
    stage.router.site_port = stage.instance.port
    duration = time.monotonic() - start
    stage.launcher.start_worker()
    page = await stage.visitor.get("/")
    if page.status >= 500:
        raise StepFailed(f"the start page returns {page.status}", suggest_fix(stage.instance.output))
    stage.freeze(True)
    refused = f", {pluralize(stage.gate.refused, 'connection')} refused by the database" if stage.gate.refused else ""
    restarts = f" after {pluralize(stage.restarts, 'restart')}" if stage.restarts else ""
    return f"tables created and healthy after {duration:.1f} s{restarts}{refused}"


async def sleep_and_wake(stage: Stage) -> str:
    """Let the site and its database sleep until a visitor returns."""
    if stage.rules.host.sleeps_after_seconds is None:
        if stage.is_on_sqlite:
            raise StepSkipped("neither the site nor its SQLite database sleeps")
        await stage.gate.sleep()
    else:
        await stage.sleep()
    start, wait_pages = time.monotonic(), 0
    page = await stage.visitor.get("/accounts/events")
    while page.status in (502, 503, 504) and time.monotonic() - start < stage.rules.start_seconds:
        wait_pages += 1
        await asyncio.sleep(RETRY_SECONDS)
        page = await stage.visitor.get("/accounts/events")
    if page.status != 200:
        fix = "see the log (--keep) and oppman.py docs databases"
        raise StepFailed(f"after sleep the page returns {page.status}", fix)
    if not page.path.endswith("/events"):
        raise StepFailed("the user is signed out after sleep", "set DATABASE_URL to PostgreSQL")
    sleepers = "site and database" if stage.rules.host.sleeps_after_seconds else "the database"
    sleepers = "the site" if stage.is_on_sqlite else sleepers
    retries = f" and {pluralize(wait_pages, 'wait page')}" if wait_pages else ""
    return f"{sleepers} slept, and the page loaded after {time.monotonic() - start:.1f} s{retries}"


async def stop_site(stage: Stage) -> str:
    """Stop the site and check which files it has written."""
    instance, stage.instance = require_instance(stage), None  # must not be frozen any more
    duration = await instance.stop(stage.rules.host.stop_signal, stage.rules.stop_seconds)
    require_stopped(stage, instance, duration)
    peak = max(instance.peak_memory_bytes for instance in stage.launcher.instances)
    if (written_files := stage.launcher.written_files()) and not stage.rules.host.keeps_disk:
        raise StepFailed(
            f"the site wrote {', '.join(written_files[:3])}, which the next deploy deletes",
            "write temporary files to tempfile's folder, and others to STORAGE_URL",
        )
    limit = f" of {stage.rules.host.memory_bytes // 1024**2}" if stage.rules.host.memory_bytes else ""
    memory = f"; peak memory {peak / 1024**2:.0f}{limit} MB" if peak else ""
    return f"stopped {duration:.1f} s after {stage.rules.host.stop_signal}{memory}"


Step = Callable[[Stage], Awaitable[str]]
STEPS: dict[str, Step] = {
    "first start": start_first_time,
    "first superuser": create_first_superuser,
    "sign-up by mail": sign_up,
    "visitor's address": check_visitor_address,
    "admin": check_admin,
    "upload": upload_picture,
    "stream": stream_answer,
    "redeploy": redeploy,
    "data after deploy": check_data_after_deploy,
    "sleep and wake": sleep_and_wake,
    "stop": stop_site,
}


async def run_steps(stage: Stage, steps: Mapping[str, Step]) -> AsyncIterator[Result]:
    """Run all steps. Stop if the site does not start."""
    for name, step in steps.items():
        result = await _run_step(name, step, stage)
        yield result
        if step is start_first_time and result.outcome is Outcome.FAILED:
            return


async def _run_step(name: str, step: Step, stage: Stage) -> Result:
    try:
        return Result(name, Outcome.PASSED, await step(stage))
    except StepSkipped as reason:
        return Result(name, Outcome.SKIPPED, str(reason))
    except StepFailed as failure:
        return Result(name, Outcome.FAILED, failure.text, failure.fix)
    except httpx2.HTTPError as error:
        log = stage.instance.output if stage.instance else ""
        return Result(name, Outcome.FAILED, f"no response: {str(error) or type(error).__name__}", suggest_fix(log))
