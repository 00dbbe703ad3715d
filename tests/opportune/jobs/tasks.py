"""Jobs for tests. They create users, because every site has their table."""

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.jobs import JobContext, JobDefinition, PermanentFailure, job
from opportune.jobs.service import DatabaseJobQueue
from opportune.services import Services
from opportune.storage import open_storage


def job_queue(settings: Settings, database: Database, jobs: Iterable[JobDefinition[Any]]) -> DatabaseJobQueue:
    return DatabaseJobQueue(Services(settings=settings, database=database, storage=open_storage(settings)), jobs)


class Gate:
    """A gate at which the job `wait` waits until a test opens it."""

    started: asyncio.Event
    opened: asyncio.Event

    @contextmanager
    def closed(self) -> Iterator[None]:
        self.started, self.opened = asyncio.Event(), asyncio.Event()
        yield
        self.opened.set()


gate = Gate()


async def add_user(session: AsyncSession, email: str) -> str:
    session.add(User(email=email, hashed_password="-"))
    return email


@job("test.register")
async def register(run: JobContext, email: str) -> None:
    await run.write(add_user, email)


@job("test.stumble", attempts=3, wait=0.01)
async def stumble(run: JobContext, failures: int) -> None:
    """Write, fail the given number of times, and write again."""
    assert await run.write(add_user, "first@example.com") == "first@example.com"
    if run.attempt <= failures:
        raise OperatorError("The other side is closed.\nAnd a second line.")
    await run.write(add_user, "second@example.com")


@job("test.refuse")
async def refuse(run: JobContext) -> None:
    raise PermanentFailure("Unknown address.")


@job("test.break", attempts=1)
async def break_down(run: JobContext) -> None:
    raise ValueError("three\0\x1b\nlines\nlong")


@job("test.quit", attempts=1)
async def quit_work(run: JobContext, code: int | None = None) -> None:
    raise asyncio.CancelledError if code is None else SystemExit(code)


@job("test.wait")
async def wait(run: JobContext) -> None:
    """Write, wait for the gate, and write again."""
    await run.write(add_user, "first@example.com")
    await run.progress(2**30, 2**31, "half\0way")
    gate.started.set()
    await gate.opened.wait()
    await run.write(add_user, "second@example.com")


@job("test.linger")
async def linger(run: JobContext) -> None:
    """End some time after the cancellation."""
    gate.started.set()
    try:
        await gate.opened.wait()
    except asyncio.CancelledError:
        await gate.opened.wait()
        raise


@job("test.die")
async def die(run: JobContext) -> None:
    """Write, kill the process at the first attempt, and write again."""
    await run.write(add_user, "first@example.com")
    if run.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    await run.write(add_user, "second@example.com")


@job("test.kill", attempts=3)
async def kill(run: JobContext) -> None:
    """Kill the process at each attempt."""
    os.kill(os.getpid(), signal.SIGKILL)


register_in_two_attempts = replace(register, name="test.register_twice", attempts=2)
register_in_one_attempt = replace(register, name="test.register_once", attempts=1)


@job("test.block")
async def block(run: JobContext, pipe: str) -> None:
    """Block the event loop until the named pipe is written, and count runs in a file."""
    _record_run_and_wait(pipe)


def _record_run_and_wait(pipe: str) -> None:
    with Path(f"{pipe}.runs").open("a") as runs:
        runs.write("run\n")
    Path(pipe).read_text()


@job("test.hourly", schedule="0 * * * *")
async def hourly(run: JobContext) -> None: ...


REGISTERING = (register, register_in_one_attempt, register_in_two_attempts)
TASKS = (*REGISTERING, stumble, refuse, break_down, quit_work, wait, linger, die, kill, block)
