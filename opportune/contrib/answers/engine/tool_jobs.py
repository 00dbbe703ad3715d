"""Tool calls that run as jobs while their answer waits, in any process that runs jobs."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.tool_runs import Run, change_run, is_pending, job_indexes, set_result
from opportune.contrib.answers.models import WAITS_FOR_JOB, Answer
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.tools import Toolbox, ToolResult
from opportune.contrib.tools.conversation import number_result
from opportune.db import Database
from opportune.db.queries.dialects import read_database_time
from opportune.errors import OperatorError
from opportune.jobs import JobContext, defer, job
from opportune.jobs.leases import JobCancelled
from opportune.jobs.management import cancel
from opportune.jobs.models import ENDED_STATES, Job
from opportune.schemas.text import make_storable

logger = logging.getLogger(__name__)

RELEASED_TOPIC = "answers"
"""Topic of messages that an answer has the results it waited for."""
MAX_ATTEMPTS = 3
"""Attempts of a job whose worker dies."""
PROGRESS_INTERVAL_SECONDS = 0.5
"""Minimum seconds between two updates of the progress in the answer."""
MAX_NOTE_LENGTH = 200
WORKER_DIED = f"The server stopped during each of {MAX_ATTEMPTS} attempts of this call."
CANCELLED = "The operator has cancelled this call."
LOST = "The job of this call has ended without a result."
UNLIMITED_ATTEMPTS = 1_000_000
"""The job counts its attempts itself, because the answer needs a result after the last one."""


@job("answers.run_tool", attempts=UNLIMITED_ATTEMPTS)
async def run_tool(run: JobContext, answer_id: int, index: int) -> None:
    await run.tool_jobs.run(run, answer_id, index)


def job_key(answer_id: int, index: int) -> str:
    return f"answers:{answer_id}:{index}"


def queue_job(session: AsyncSession, answer_id: int, index: int) -> None:
    """Queue the job of a call once, in the transaction in which its answer begins to wait."""
    defer(session, run_tool(answer_id, index), key=job_key(answer_id, index))


async def cancel_jobs(session: AsyncSession, answer_id: int, indexes: Iterable[int]) -> None:
    keys = [job_key(answer_id, index) for index in indexes]
    if not keys:
        return
    for job_id in (await session.scalars(select(col(Job.id)).where(col(Job.key).in_(keys)))).all():
        with suppress(OperatorError):  # it has just ended
            await cancel(session, job_id)


async def has_lost_job(session: AsyncSession, answer_id: int, index: int) -> bool:
    """Return True if the job of a call without a result has ended: it was cancelled before it ran."""
    state = await session.scalar(select(col(Job.state)).where(col(Job.key) == job_key(answer_id, index)))
    return state in ENDED_STATES


class AnswerJobContext:
    """Context of a job that also shows its progress in the answer."""

    def __init__(self, run: JobContext, database: Database, answer_id: int, index: int) -> None:
        self._run = run
        self._database = database
        self._answer_id = answer_id
        self._index = index
        self._shown_at = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    async def progress(self, done: int, total: int, note: str = "") -> None:
        await self._run.progress(done, total, note)
        if done < total and monotonic() - self._shown_at < PROGRESS_INTERVAL_SECONDS:
            return
        self._shown_at = monotonic()
        progress = {"done": done, "total": total, "note": make_storable(note)[:MAX_NOTE_LENGTH]}
        async with self._database.writer() as session:
            answer = await _find_waiting(session, self._answer_id, self._index)
            if answer is None:
                raise JobCancelled  # the answer was stopped or deleted
            answer.tool_runs = change_run(answer.tool_runs, self._index, {"progress": progress})


class ToolJobs:
    """Service that runs the tool calls of waiting answers."""

    def __init__(self, database: Database, make_toolbox: Callable[[], Toolbox]) -> None:
        self.database = database
        self.make_toolbox = make_toolbox
        self.on_result: Callable[[], object] = lambda: None
        """Called when an answer in this process can continue."""

    async def run(self, job: JobContext, answer_id: int, index: int) -> None:
        """Run a call and store its result. A repeated job of a call with a result does nothing."""
        async with self.database.writer() as session:
            answer = await _find_waiting(session, answer_id, index)
            if answer is None:
                return
            answer.tool_runs = change_run(answer.tool_runs, index, {"has_begun": True})
            owner = await session.get(User, answer.owner_id) if answer.owner_id else None
        call = answer.tool_runs[index]
        try:
            result = await self._call(AnswerJobContext(job, self.database, answer_id, index), answer, call, owner)
        except asyncio.CancelledError:
            if await self._is_cancelled(job):
                await self._store(answer_id, index, ToolResult(CANCELLED, is_error=True))
            raise
        await self._store(answer_id, index, result)

    async def _call(self, run: Any, answer: Answer, call: Run, owner: User | None) -> ToolResult:
        if answer.owner_id and not (owner and owner.is_active):
            return ToolResult("The account of the user is not active.", is_error=True)
        if run.attempt > MAX_ATTEMPTS:
            return ToolResult(WORKER_DIED, is_error=True)
        toolbox = self.make_toolbox().named(answer.tool_names).allowed(answer.tool_scopes)
        return await toolbox.call(ToolCall(call["id"], call["name"], call["arguments"]), owner, run=run)

    async def _is_cancelled(self, job: JobContext) -> bool:
        """Return True if an operator has cancelled the job. Otherwise the process stops, and another one repeats it."""
        async with self.database.reader(fresh=True) as session:
            return bool(await session.scalar(select(col(Job.cancel_asked)).where(col(Job.id) == int(job.id))))

    async def _store(self, answer_id: int, index: int, result: ToolResult) -> None:
        async with self.database.writer() as session:
            answer = await _find_waiting(session, answer_id, index)
            if answer is None:
                return
            sources = [*answer.sources]
            result = number_result(result, sources)
            answer.sources = sources
            can_continue = await _end_call(session, answer, index, result)
        if can_continue:
            self.database.bus.publish(RELEASED_TOPIC)
            self.on_result()


async def end_lost_jobs(database: Database, answers: Iterable[Answer]) -> bool:
    """End calls whose jobs were cancelled before they ran. Return True if an answer can continue."""
    can_continue = False
    for answer in answers:
        if not (answer.is_waiting and answer.worker == WAITS_FOR_JOB):
            continue
        async with database.reader(fresh=True) as session:
            lost = [index for index in job_indexes(answer.tool_runs) if await has_lost_job(session, answer.id, index)]
        if lost:
            async with database.writer() as session:
                for index in lost:
                    if row := await _find_waiting(session, answer.id, index):
                        can_continue |= await _end_call(session, row, index, ToolResult(LOST, is_error=True))
    return can_continue


async def _find_waiting(session: AsyncSession, answer_id: int, index: int) -> Answer | None:
    """Lock an answer that waits for the job of a call. None if it was deleted or stopped, or has the result."""
    progress = await store.read_progress_for_update(session, answer_id)
    if progress is None or not progress.answer.is_waiting:
        return None
    return progress.answer if index in job_indexes(progress.answer.tool_runs) else None


async def _end_call(session: AsyncSession, answer: Answer, index: int, result: ToolResult) -> bool:
    """Store the result of a call in a locked answer. Return True if it was the last one, so any worker may continue."""
    answer.tool_runs = set_result(answer.tool_runs, index, result.text, is_error=result.is_error)
    if any(map(is_pending, answer.tool_runs)):
        return False
    expired = await read_database_time(session) - 2 * store.LEASE_DURATION  # as of a dead worker
    store.assign_worker(answer, "", expired)
    return True
