"""Results of answers, stored by their worker: they end, wait for the user or a job, or are handed over."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.engine.jobs import queue_job
from opportune.contrib.answers.engine.records import INTERRUPTED, AnswerResult, Claim
from opportune.contrib.answers.engine.store import RUNNING, insert_chunks, lock_answers
from opportune.contrib.answers.engine.tool_runs import job_indexes, stop_jobs
from opportune.contrib.answers.models import MAX_ERROR_LENGTH, WAITS_FOR_JOB, Answer, AnswerChunk, AnswerStatus
from opportune.db import Database, has_hooks, utc_now
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
        claims = await lock_answers(session, worker, [result.answer_id for result in results], INTERRUPTED.status)
        owned = [
            _respect_stop_request(result, claims[result.answer_id])
            for result in results
            if claims.get(result.answer_id, Claim.LOST) != Claim.LOST
        ]
        waiting = [result for result in owned if result.outcome.status == AnswerStatus.WAITING]
        handed_over = [result for result in owned if result.outcome.status == AnswerStatus.STREAMING]
        deltas = chain.from_iterable(result.unsaved for result in (*waiting, *handed_over))
        if chunks := [delta._asdict() for delta in deltas if not delta.is_empty]:
            await insert_chunks(session, chunks)
        if waiting:
            await _let_wait(session, waiting)
        if handed_over:
            await _release(session, [result.answer_id for result in handed_over])
        await end_answers(session, [result for result in owned if result.outcome.status not in RUNNING])
        stored = dict[int, Answer | None].fromkeys(claims)
        for ids in batches_of([*claims], MAX_RESULTS_PER_STATEMENT):
            answers = await session.scalars(select(Answer).where(col(Answer.id).in_(ids)))
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
        "error": make_storable(outcome.error)[:MAX_ERROR_LENGTH],  # of a project's provider
        "stop_requested": False,
    }
    if outcome.model:
        values["model"] = outcome.model
    if result.usage:
        values |= vars(result.usage)
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
