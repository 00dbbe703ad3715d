"""What a deployment goes through: each step is told as passed, failed with its mend, or left out."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import httpx

from opportune.ops.deploy.rehearsal.account_steps import first_superuser, sign_up, still_there, visitor_address
from opportune.ops.deploy.rehearsal.answer_steps import redeploy, require_ended, stream
from opportune.ops.deploy.rehearsal.page_steps import admin, upload
from opportune.ops.deploy.rehearsal.stage import (
    Outcome,
    Result,
    Stage,
    StepFailed,
    StepLeftOut,
    mend_for,
    running,
)
from opportune.runtime.counts import counted

RETRY_SECONDS = 0.5


async def first_start(stage: Stage) -> str:
    """The first start, on an empty database that is asleep."""
    begun = time.monotonic()
    stage.instance = await stage.start()
    stage.router.site_port = stage.instance.port
    took = time.monotonic() - begun
    stage.launcher.start_worker()
    page = await stage.visitor.get("/")
    if page.status >= 500:
        raise StepFailed(f"the first page is answered {page.status}", mend_for(stage.instance.said))
    stage.freeze(True)
    slept = f", past a database that refused {counted(stage.gate.refused, 'time')}" if stage.gate.refused else ""
    again = f" after {counted(stage.restarts, 'restart')}" if stage.restarts else ""
    return f"tables made and healthy after {took:.1f} s{again}{slept}"


async def sleep_and_wake(stage: Stage) -> str:
    """The site and its database fall asleep, and a visitor comes."""
    if stage.rules.host.sleeps_after_seconds is None:
        if stage.is_on_sqlite:
            raise StepLeftOut("the site runs on, and its database is a file")
        await stage.gate.sleep()
    else:
        await stage.sleep()
    begun = time.monotonic()
    statuses = []
    while time.monotonic() - begun < stage.rules.start_seconds:
        page = await stage.visitor.get("/accounts/events")
        statuses.append(page.status)
        if page.status == 200:
            if not page.path.endswith("/events"):
                raise StepFailed("who was signed in is not after sleep", "set DATABASE_URL to PostgreSQL")
            who = "site and database" if stage.rules.host.sleeps_after_seconds else "the database"
            who = "the site" if stage.is_on_sqlite else who
            waits = counted(len(statuses) - 1, "page")
            friendly = f", after {waits} that said to wait" if len(statuses) > 1 else ""
            return f"{who} slept, and the page came after {time.monotonic() - begun:.1f} s{friendly}"
        if page.status not in (502, 503, 504):
            break
        await asyncio.sleep(RETRY_SECONDS)
    raise StepFailed(f"after sleep the page was answered {statuses[-1]}", "see the log (--keep), and docs/databases.md")


async def leave(stage: Stage) -> str:
    """The last stop, and what the site has left behind."""
    instance, stage.instance = running(stage), None  # whom nothing freezes any more
    took = await instance.stop(stage.rules.host.stop_signal, stage.rules.stop_seconds)
    require_ended(stage, instance, took)
    peak = max(each.peak_memory_bytes for each in stage.launcher.instances)
    if (written := stage.launcher.written()) and not stage.rules.host.keeps_disk:
        raise StepFailed(
            f"the site wrote {', '.join(written[:3])} into its tree, which the next deploy throws away",
            "write to STORAGE_URL what is kept, and to tempfile's folder what is not",
        )
    held = f" of {stage.rules.host.memory_bytes // 1024**2}" if stage.rules.host.memory_bytes else ""
    memory = f"; {peak / 1024**2:.0f}{held} MB of memory at most" if peak else ""
    return f"stopped {took:.1f} s after {stage.rules.host.stop_signal}{memory}"


Step = Callable[[Stage], Awaitable[str]]
STEPS: dict[str, Step] = {
    "first start": first_start,
    "first superuser": first_superuser,
    "sign-up by mail": sign_up,
    "visitor's address": visitor_address,
    "admin": admin,
    "upload": upload,
    "stream": stream,
    "redeploy": redeploy,
    "what is kept": still_there,
    "sleep and wake": sleep_and_wake,
    "stop": leave,
}


async def walk(stage: Stage, steps: Mapping[str, Step]) -> AsyncIterator[Result]:
    """Go through all of it; where the site does not even start, that is all."""
    for name, step in steps.items():
        result = await _taken(name, step, stage)
        yield result
        if step is first_start and result.outcome is Outcome.FAILED:
            return


async def _taken(name: str, step: Step, stage: Stage) -> Result:
    try:
        return Result(name, Outcome.PASSED, await step(stage))
    except StepLeftOut as reason:
        return Result(name, Outcome.LEFT_OUT, str(reason))
    except StepFailed as failure:
        return Result(name, Outcome.FAILED, failure.text, failure.mend)
    except httpx.HTTPError as error:
        said = stage.instance.said if stage.instance else ""
        return Result(name, Outcome.FAILED, f"no answer: {str(error) or type(error).__name__}", mend_for(said))
