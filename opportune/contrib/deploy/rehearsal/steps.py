"""Steps of a rehearsal: starts, redeploy, sleep and stop. Each passes, fails with a fix, or is skipped."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2

from opportune.contrib.deploy.rehearsal import page_steps
from opportune.contrib.deploy.rehearsal.answer_steps import ask_question, read_answer, require_complete, stream_answer
from opportune.contrib.deploy.rehearsal.instance import POLL_SECONDS, RETRY_SECONDS, Instance
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


async def redeploy(stage: Stage) -> str:
    """Deploy a new version during an answer. The old process gets the stop signal and its grace period."""
    old = require_instance(stage)
    stage.launcher.deploy()
    new = await stage.start()
    if stage.is_on_sqlite and not stage.rules.host.keeps_disk:  # a deploy deletes the database
        return f"{_describe_stop(stage, await _switch_to(stage, old, new))}; its SQLite database was deleted"
    try:
        answer = await ask_question(stage)
    except StepSkipped:
        duration = await _switch_to(stage, old, new)
        return f"{_describe_stop(stage, duration)}; this site has no streamed answers"
    reader_task = asyncio.create_task(read_answer(stage.visitor.client, answer, stage.rules.answer_seconds))
    try:
        while not (answer.text or reader_task.done()):  # noqa: ASYNC110 - there is no event for the first word
            await asyncio.sleep(POLL_SECONDS)
        duration = await _switch_to(stage, old, new)
        await reader_task
    finally:
        reader_task.cancel()
    require_complete(answer)
    connections = pluralize(answer.connections, "connection")
    return f"{_describe_stop(stage, duration)}; the answer in progress is complete after {connections}"


async def _switch_to(stage: Stage, old: Instance, new: Instance) -> float:
    """Route requests to the new process and stop the old one. Return the duration of the stop."""
    stage.instance = new
    stage.router.site_port = new.port
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
        raise StepFailed(f"the start page returns {page.status}", suggest_fix(stage.instance))
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
    start = time.monotonic()
    wait_pages = 0
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
    instance = require_instance(stage)
    stage.instance = None  # must not be frozen any more
    duration = await instance.stop(stage.rules.host.stop_signal, stage.rules.stop_seconds)
    require_stopped(stage, instance, duration)
    peak = max(instance.peak_memory_bytes for instance in stage.launcher.instances)
    written_files = stage.launcher.written_files()
    if written_files and not stage.rules.host.keeps_disk:
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
    "first superuser": page_steps.create_first_superuser,
    "sign-up by mail": page_steps.sign_up,
    "visitor's address": page_steps.check_visitor_address,
    "admin": page_steps.check_admin,
    "upload": page_steps.upload_picture,
    "stream": stream_answer,
    "redeploy": redeploy,
    "data after deploy": page_steps.check_data_after_deploy,
    "sleep and wake": sleep_and_wake,
    "stop": stop_site,
}


async def run_steps(stage: Stage) -> AsyncIterator[Result]:
    """Run all steps. Stop if the site does not start."""
    for name, step in STEPS.items():
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
        text = f"no response: {str(error) or type(error).__name__}"
        return Result(name, Outcome.FAILED, text, suggest_fix(stage.instance))
