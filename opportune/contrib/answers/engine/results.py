"""Changes of answers that end, wait, or change their worker: by the worker itself, stops, and takeovers."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import delete, false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers.engine import records, store
from opportune.contrib.answers.engine.records import AnswerResult, Claim
from opportune.contrib.answers.engine.tool_jobs import cancel_jobs, queue_job
from opportune.contrib.answers.engine.tool_runs import job_indexes, stop_jobs
from opportune.contrib.answers.models import MAX_ERROR_LENGTH, WAITS_FOR_JOB, Answer, AnswerChunk, AnswerStatus
from opportune.db import Database, has_hooks, utc_now
from opportune.db.hooks.registry import after_update, changes
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import database_time, read_database_time
from opportune.schemas.text import make_storable

APPROVAL_DURATION = timedelta(days=7)
"""Time to approve a tool call. Afterwards the call counts as refused."""
MAX_RESULTS_PER_STATEMENT = 25
"""Maximum number of answers to finish per statement. Other requests run between statements."""


async def finish_answers(database: Database, worker: str, results: Sequence[AnswerResult]) -> dict[int, Answer | None]:
    """Store the results of answers that this worker owns, and return the stored answers by id.

    Answers locked by another transaction are missing, and their results were not stored.
    """
    async with database.writer() as session:
        # After an outage, another worker may have marked the answer as interrupted, but this worker has more text.
        ids = [result.answer_id for result in results]
        claims = await store.lock_answers(session, worker, ids, records.INTERRUPTED.status)
        owned = [
            _respect_stop_request(result, claims[result.answer_id])
            for result in results
            if claims.get(result.answer_id, Claim.LOST) != Claim.LOST
        ]
        waiting = [result for result in owned if result.outcome.status == AnswerStatus.WAITING]
        handed_over = [result for result in owned if result.outcome.status == AnswerStatus.STREAMING]
        deltas = chain.from_iterable(result.unsaved for result in (*waiting, *handed_over))
        if chunks := [delta._asdict() for delta in deltas if not delta.is_empty]:
            await store.insert_chunks(session, chunks)
        if waiting:
            await _let_wait(session, waiting)
        if handed_over:
            await _release(session, [result.answer_id for result in handed_over])
        await end_answers(session, [result for result in owned if result.outcome.status not in store.RUNNING])
        return await _read_answers(session, [*claims])


async def _read_answers(session: AsyncSession, ids: Sequence[int]) -> dict[int, Answer | None]:
    """Return answers by id. Deleted answers are None."""
    stored = dict[int, Answer | None].fromkeys(ids)
    for batch in batches_of(ids, MAX_RESULTS_PER_STATEMENT):
        answers = await session.scalars(select(Answer).where(col(Answer.id).in_(batch)))
        stored |= {answer.id: answer for answer in answers}
    return stored


def _respect_stop_request(result: AnswerResult, claim: Claim) -> AnswerResult:
    """Return the result, stopped if the answer would wait although the user has requested a stop."""
    if claim != Claim.STOP_REQUESTED or result.outcome.status != AnswerStatus.WAITING:
        return result
    outcome = replace(result.outcome, status=AnswerStatus.STOPPED)
    return replace(result, outcome=outcome, tool_runs=stop_jobs(result.tool_runs or ()))


async def _let_wait(session: AsyncSession, results: Sequence[AnswerResult]) -> None:
    """Release answers so that any worker can continue them after an approval or a job."""
    deadline = await read_database_time(session) + APPROVAL_DURATION
    await session.execute(update(Answer), [_waiting_values(result, deadline) for result in results])
    for result in results:
        for index in job_indexes(result.tool_runs or ()):
            queue_job(session, result.answer_id, index)


async def _release(session: AsyncSession, ids: Sequence[int]) -> None:
    """Release answers so that another worker can continue them."""
    statement = update(Answer).where(col(Answer.id).in_(ids))
    await session.execute(statement.values(worker="", lease_until=database_time(session)))


async def end_answers(session: AsyncSession, results: Sequence[AnswerResult]) -> None:
    """Store final results, and delete the chunks of these answers. Hooks run if the model has some."""
    runs_hooks = has_hooks(Answer) and all(result.runs_hooks for result in results)
    for batch in batches_of(results, MAX_RESULTS_PER_STATEMENT):
        rows = [_final_values(result) for result in batch]
        if runs_hooks:
            await _update_instances(session, rows)
        else:
            await session.execute(update(Answer), rows)
        ids = [result.answer_id for result in batch]
        await session.execute(delete(AnswerChunk).where(col(AnswerChunk.answer_id).in_(ids)))


def _waiting_values(result: AnswerResult, deadline: datetime) -> dict[str, Any]:
    worker = WAITS_FOR_JOB if job_indexes(result.tool_runs or ()) else ""
    return _outcome_values(result) | {"worker": worker, "lease_until": deadline}


def _final_values(result: AnswerResult) -> dict[str, Any]:
    values = {"text": result.text, "reasoning": result.reasoning, "finished_at": utc_now(), "lease_until": None}
    if result.outcome.status == AnswerStatus.DONE:
        values["prompt"] = []
    return _outcome_values(result) | values


def _outcome_values(result: AnswerResult) -> dict[str, Any]:
    outcome = result.outcome
    values: dict[str, Any] = {
        "id": result.answer_id,
        "status": outcome.status,
        "error_code": outcome.error_code,
        "error": make_storable(outcome.error)[:MAX_ERROR_LENGTH],  # a project's provider may have written it
        "stop_requested": False,
        **result.usage,
    }
    if outcome.model:
        values["model"] = outcome.model
    if result.tool_runs:
        values |= {"tool_runs": result.tool_runs, "sources": result.sources}
    return values


async def _update_instances(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Update model instances, because hooks receive them."""
    instances = await session.scalars(select(Answer).where(col(Answer.id).in_([row["id"] for row in rows])))
    answers = {answer.id: answer for answer in instances}
    for row in rows:
        answers[row["id"]].sqlmodel_update(row)
    await session.flush()


async def stop_answer(session: AsyncSession, answer_id: int) -> None:
    """Request the worker of an answer to stop. An answer that waits ends immediately, and so do its jobs."""
    progress = await store.read_progress_for_update(session, answer_id)
    if progress and progress.answer.is_waiting:
        answer = progress.answer
        await cancel_jobs(session, answer_id, job_indexes(answer.tool_runs))
        result = AnswerResult(
            answer_id,
            progress.text,
            records.STOPPED,
            tool_runs=stop_jobs(answer.tool_runs),
            sources=answer.sources,
            reasoning=progress.reasoning,
        )
        await end_answers(session, [result])
    elif progress and progress.answer.is_running:
        progress.answer.stop_requested = True


@after_update(User)
async def stop_answers_of_inactive_user(session: AsyncSession, user: User) -> None:
    """Request the workers to stop. An answer that waits is refused when it continues."""
    if not user.is_active and "is_active" in changes(user):
        is_written_for_user = (col(Answer.owner_id) == user.id) & (col(Answer.status) == AnswerStatus.STREAMING)
        await session.execute(update(Answer).where(is_written_for_user).values(stop_requested=True))


async def take_over_answers(
    session: AsyncSession,
    worker: str,
    dead: Collection[Answer],
    can_continue: Callable[[records.AnswerProgress], bool] = lambda _: False,
    outcome: records.Outcome = records.INTERRUPTED,
) -> list[records.AnswerProgress]:
    """Take over the answers of dead workers that can be continued, and return them. End the others.

    This also ends answers that were not approved in time. If several workers try, only one gets each answer.

    `can_continue` tells which ones this worker can continue, by default none. The others end with the outcome, or as
    stopped after a stop request.
    """
    # Only rows that are as last read: another worker may have taken an answer over in the meantime.
    id_ = col(Answer.id)
    worker_ = col(Answer.worker)
    lease = col(Answer.lease_until)
    unchanged = ((id_ == row.id) & (worker_ == row.worker) & (lease <= row.lease_until) for row in dead)
    query = select(id_).where(or_(false(), *unchanged), col(Answer.status).in_(store.RUNNING))
    locked = (await session.scalars(query.with_for_update(skip_locked=True))).all()
    now = await read_database_time(session)
    continued: list[records.AnswerProgress] = []
    ended: list[AnswerResult] = []
    for progress in (await store.read_answers(session, dict.fromkeys(locked, records.UNREAD))).values():
        answer = progress.answer
        if not answer.stop_requested and can_continue(progress):
            store.assign_worker(answer, worker, now)
            answer.takeovers += 1
            continued.append(progress)
        else:
            final = records.STOPPED if answer.stop_requested else outcome
            ended.append(AnswerResult(answer.id, progress.text, final, reasoning=progress.reasoning))
    await session.flush()
    await end_answers(session, ended)
    return continued
