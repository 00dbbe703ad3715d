"""Storage of running answers.

- Each function changes many answers in one short transaction, because a transaction costs far more than a row.
- Updates require that the answer is still streaming and owned by this worker, so two workers never change the same one.
- Locked rows are skipped, so that one answer cannot delay the others.
- Reads use the primary. On a lagging replica, new answers would look deleted and running workers dead.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, false, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.engine.attachments import adopt_pictures
from opportune.contrib.answers.engine.jobs import cancel_jobs, queue_job
from opportune.contrib.answers.engine.records import (
    INTERRUPTED,
    STOPPED,
    AnswerDelta,
    AnswerProgress,
    AnswerResult,
    Claim,
    Outcome,
)
from opportune.contrib.answers.engine.tool_runs import job_indexes, stop_jobs
from opportune.contrib.answers.models import WAITS_FOR_JOB, Answer, AnswerChunk, AnswerStatus
from opportune.contrib.llm.completion.usage import MAX_REPORTED_TOKENS
from opportune.db import Database, has_hooks, is_outage, utc_now
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import database_time, read_database_time, upsert

LEASE_DURATION = timedelta(seconds=15)
APPROVAL_DURATION = timedelta(days=7)
"""Time to approve a tool call. Afterwards the call counts as refused."""
RUNNING = (AnswerStatus.STREAMING, AnswerStatus.WAITING)
USAGE = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "usage_estimated", "cost_micro", "seconds")
TRANSIENT_ERRORS = (SQLAlchemyError, TimeoutError)
"""Errors of the database, and locks that were not released in time. Of these, `can_recover` tells which may pass."""
MAX_ANSWERS_PER_QUERY = 200
"""Maximum number of answers per query, because SQLite limits the depth of conditions."""
MAX_RESULTS_PER_STATEMENT = 25
"""Maximum number of answers to finish per statement. Other requests run between statements."""


def can_recover(fault: Exception) -> bool:
    """Return True for an outage or a timeout, after which callers may repeat the operation."""
    return isinstance(fault, TimeoutError) or is_outage(fault)


async def save_deltas(
    database: Database, worker: str, deltas: Sequence[AnswerDelta], *, renew: bool
) -> dict[int, Claim]:
    """Append chunks, and renew the leases of their answers if `renew`. Existing chunks are skipped.

    Returns:
        The claim of the worker by answer id. Answers locked by another transaction are missing, and their chunks were
        not saved.
    """
    async with database.writer() as session:
        claims = await _lock_answers(session, worker, [delta.answer_id for delta in deltas])
        owned_ids = [answer_id for answer_id, claim in claims.items() if claim != Claim.LOST]
        if renew:
            renewal = (
                update(Answer).where(_has_id_in(owned_ids)).values(lease_until=database_time(session, LEASE_DURATION))
            )
            await session.execute(renewal, execution_options={"synchronize_session": False})
        if rows := [delta._asdict() for delta in deltas if not delta.is_empty and delta.answer_id in owned_ids]:
            await _insert_chunks(session, rows)
        return claims


async def save_tool_runs(
    database: Database,
    worker: str,
    answer_id: int,
    runs: Sequence[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
) -> bool:
    """Store the tool runs and sources of an answer. Return False if this worker does not own it."""
    async with database.writer() as session:
        values = {"tool_runs": [*runs], "sources": [*sources]}
        statement = update(Answer).where(_is_owned(worker, [answer_id])).values(values)
        is_stored = (await session.execute(statement.returning(col(Answer.id)))).first() is not None
        if is_stored:
            await adopt_pictures(session, answer_id, runs)
        return is_stored


async def finish_answers(database: Database, worker: str, results: Sequence[AnswerResult]) -> dict[int, Answer | None]:
    """Store the results of answers that this worker owns, and return the stored answers by id.

    Answers locked by another transaction are missing, and their results were not stored.
    """
    async with database.writer() as session:
        # After an outage, another worker may have marked the answer as interrupted, but this worker has more text.
        claims = await _lock_answers(session, worker, [result.answer_id for result in results], INTERRUPTED.status)
        owned = [
            _respect_stop_request(result, claims[result.answer_id])
            for result in results
            if claims.get(result.answer_id, Claim.LOST) != Claim.LOST
        ]
        await _hand_over(session, [result for result in owned if result.outcome.status in RUNNING])
        await _end_answers(session, [result for result in owned if result.outcome.status not in RUNNING])
        stored = dict[int, Answer | None].fromkeys(claims)
        for ids in batches_of([*claims], MAX_RESULTS_PER_STATEMENT):
            answers = await session.scalars(select(Answer).where(col(Answer.id).in_(ids)))
            stored |= {answer.id: answer for answer in answers}
        return stored


def _respect_stop_request(result: AnswerResult, claim: Claim) -> AnswerResult:
    """Return the result, stopped if the answer would wait although the user has requested a stop."""
    if claim != Claim.STOP_REQUESTED or result.outcome.status != AnswerStatus.WAITING:
        return result
    return replace(result, outcome=STOPPED, tool_runs=stop_jobs(result.tool_runs or ()))


async def _hand_over(session: AsyncSession, results: Sequence[AnswerResult]) -> None:
    """Release answers so that another worker can continue them, or any worker after an approval or a job."""
    if rows := [delta._asdict() for result in results for delta in result.unsaved if not delta.is_empty]:
        await _insert_chunks(session, rows)
    waiting = [result for result in results if result.outcome.status == AnswerStatus.WAITING]
    deadline = await read_database_time(session) + APPROVAL_DURATION
    if rows := [_waiting_values(result, deadline) for result in waiting]:
        await session.execute(update(Answer), rows)
    for result in waiting:
        for index in job_indexes(result.tool_runs or ()):
            queue_job(session, result.answer_id, index)
    if ids := [result.answer_id for result in results if result not in waiting]:
        statement = update(Answer).where(col(Answer.id).in_(ids))
        await session.execute(statement.values(worker="", lease_until=database_time(session)))


def _waiting_values(result: AnswerResult, deadline: datetime) -> dict[str, Any]:
    worker = WAITS_FOR_JOB if job_indexes(result.tool_runs or ()) else ""
    values = _result_values(result) | {"worker": worker, "lease_until": deadline}
    return {name: value for name, value in values.items() if name not in ("text", "reasoning", "finished_at")}


def _with_usage(outcome: Outcome, answer: Answer) -> Outcome:
    """Return the outcome of an answer that ends without a process, with the usage that is stored."""
    return replace(outcome, **{name: getattr(answer, name) for name in USAGE})


async def stop_answer(session: AsyncSession, answer_id: int) -> None:
    """Request the worker of an answer to stop. An answer that waits ends immediately, and so do its jobs."""
    progress = await read_progress_for_update(session, answer_id)
    if progress and progress.answer.is_waiting:
        answer = progress.answer
        await cancel_jobs(session, answer_id, job_indexes(answer.tool_runs))
        result = AnswerResult(
            answer_id,
            progress.text,
            _with_usage(STOPPED, answer),
            tool_runs=stop_jobs(answer.tool_runs),
            sources=answer.sources,
            reasoning=progress.reasoning,
        )
        await _end_answers(session, [result])
    elif progress and progress.answer.is_running:
        progress.answer.stop_requested = True


async def read_progress_for_update(session: AsyncSession, answer_id: int) -> AnswerProgress | None:
    """Read an answer and lock its row."""
    await session.execute(select(col(Answer.id)).where(col(Answer.id) == answer_id).with_for_update())
    return (await _read_answers(session, {answer_id: -1})).get(answer_id)


async def read_progress(database: Database, last_seqs: Mapping[int, int]) -> dict[int, AnswerProgress]:
    """Read answers by id, with the chunks after a sequence number each (-1 for all). Deleted answers are missing."""
    async with database.reader(fresh=True) as session:
        return await _read_answers(session, last_seqs)


async def find_newest_answer(database: Database, condition: ColumnElement[bool]) -> Answer | None:
    """Return the newest matching answer."""
    # Fresh, because a client may resume a stream long after its last write.
    async with database.reader(fresh=True) as session:
        query = select(Answer).where(condition).order_by(col(Answer.id).desc()).limit(1)
        return await session.scalar(query)


async def read_running_answers(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[Answer]:
    """Return the matching answers that have not ended."""
    return (await session.scalars(select(Answer).where(col(Answer.status).in_(RUNNING), condition))).all()


async def take_over_answers(
    session: AsyncSession,
    worker: str,
    dead: Collection[Answer],
    can_continue: Callable[[AnswerProgress], bool] = lambda _: False,
    outcome: Outcome = INTERRUPTED,
) -> list[AnswerProgress]:
    """Take over the answers of dead workers that can be continued, and return them. End the others.

    This also ends answers that were not approved in time. If several workers try, only one gets each answer.

    Args:
        session: A session that writes.
        worker: Id of this worker.
        dead: Answers as last read.
        can_continue: Returns True for answers that this worker can continue. By default all of them end.
        outcome: Outcome of the other answers. An answer with a stop request ends as STOPPED.
    """
    # Only rows that are as last read: another worker may have taken an answer over in the meantime.
    id_ = col(Answer.id)
    worker_ = col(Answer.worker)
    lease = col(Answer.lease_until)
    unchanged = ((id_ == row.id) & (worker_ == row.worker) & (lease <= row.lease_until) for row in dead)
    query = select(id_).where(or_(false(), *unchanged), col(Answer.status).in_(RUNNING))
    locked = (await session.scalars(query.with_for_update(skip_locked=True))).all()
    now = await read_database_time(session)
    continued: list[AnswerProgress] = []
    ended: list[AnswerResult] = []
    for progress in (await _read_answers(session, dict.fromkeys(locked, -1))).values():
        answer = progress.answer
        if not answer.stop_requested and can_continue(progress):
            assign_worker(answer, worker, now)
            answer.takeovers += 1
            continued.append(progress)
        else:
            final = _with_usage(STOPPED if answer.stop_requested else outcome, answer)
            ended.append(AnswerResult(answer.id, progress.text, final, reasoning=progress.reasoning))
    await session.flush()
    await _end_answers(session, ended)
    return continued


def assign_worker(answer: Answer, worker: str, now: datetime) -> None:
    """Assign an answer to a worker and clear its error and end time."""
    values = {"status": AnswerStatus.STREAMING, "error_code": "", "error": "", "finished_at": None}
    answer.sqlmodel_update({**values, "worker": worker, "lease_until": now + LEASE_DURATION})


async def _lock_answers(
    session: AsyncSession, worker: str, ids: Collection[int], *more_statuses: AnswerStatus
) -> dict[int, Claim]:
    """Lock the streaming answers of this worker. Return its claims by answer id, without answers locked by others."""
    query = select(col(Answer.id), col(Answer.stop_requested)).where(
        _is_owned(worker, ids), col(Answer.status).in_([AnswerStatus.STREAMING, *more_statuses])
    )
    rows = await session.execute(query.with_for_update(skip_locked=True))
    claims = {row.id: Claim.STOP_REQUESTED if row.stop_requested else Claim.OWNED for row in rows}
    if missing := set(ids) - claims.keys():
        locked = await session.scalars(select(col(Answer.id)).where(_is_owned(worker, missing)))
        claims |= dict.fromkeys(missing - set(locked), Claim.LOST)
    return claims


def _is_owned(worker: str, ids: Collection[int]) -> ColumnElement[bool]:
    """Condition for answers of this worker, including interrupted ones that no other worker has taken over."""
    can_continue = col(Answer.status).in_([AnswerStatus.STREAMING, INTERRUPTED.status])
    return _has_id_in(ids) & can_continue & (col(Answer.worker) == worker)


def _has_id_in(ids: Collection[int]) -> ColumnElement[bool]:
    """Condition on ids. Faster than `in_` with a list, which inspects each of hundreds of numbers."""
    return col(Answer.id).in_(bindparam("ids", [*ids], expanding=True, unique=True))


async def _insert_chunks(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    # Insert into the table, because model instances would cost the session additional work.
    table = AnswerChunk.__table__  # type: ignore[attr-defined]  # SQLModel's tables have it
    await session.execute(upsert(session, table).on_conflict_do_nothing(), rows)


async def _end_answers(session: AsyncSession, results: Sequence[AnswerResult]) -> None:
    runs_hooks = has_hooks(Answer) and all(result.runs_hooks for result in results)
    for batch in batches_of(results, MAX_RESULTS_PER_STATEMENT):
        rows = [_result_values(result) for result in batch]
        if runs_hooks:
            await _update_instances(session, rows)
        else:
            await session.execute(update(Answer), rows)
        ids = [result.answer_id for result in batch]
        await session.execute(delete(AnswerChunk).where(col(AnswerChunk.answer_id).in_(ids)))


def _result_values(result: AnswerResult) -> dict[str, Any]:
    values = {
        "id": result.answer_id,
        "text": result.text,
        "reasoning": result.reasoning,
        **vars(result.outcome),
        "finished_at": utc_now(),
        "lease_until": None,
        "stop_requested": False,
    }
    for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens"):
        values[name] = min(max(values[name], 0), MAX_REPORTED_TOKENS)  # larger numbers come from broken endpoints
    if result.tool_runs:
        values |= {"tool_runs": result.tool_runs, "sources": result.sources}
    if not result.outcome.model:
        del values["model"]
    if result.outcome.status == AnswerStatus.DONE:
        values["prompt"] = []
    return values


async def _update_instances(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Update model instances, because hooks receive them."""
    instances = await session.scalars(select(Answer).where(col(Answer.id).in_([row["id"] for row in rows])))
    answers = {answer.id: answer for answer in instances}
    for row in rows:
        answers[row["id"]].sqlmodel_update(row)
    await session.flush()


async def _read_chunks(session: AsyncSession, last_seqs: Mapping[int, int]) -> dict[int, list[AnswerChunk]]:
    """Return the chunks after the last sequence number of each answer, by answer id."""
    if not last_seqs:
        return {}
    answer_id = col(AnswerChunk.answer_id)
    seq = col(AnswerChunk.seq)
    newer = or_(*((answer_id == id_) & (seq > last_seq) for id_, last_seq in last_seqs.items()))
    rows = await session.scalars(select(AnswerChunk).where(newer).order_by(answer_id, seq))
    return {id_: list(chunks) for id_, chunks in groupby(rows, lambda chunk: chunk.answer_id)}


async def _read_answers(session: AsyncSession, last_seqs: Mapping[int, int]) -> dict[int, AnswerProgress]:
    answers = (await session.scalars(select(Answer).where(col(Answer.id).in_(last_seqs)))).all()
    chunks = await _read_chunks(session, {row.id: last_seqs[row.id] for row in answers if row.is_running})
    return {row.id: _combine_progress(row, chunks.get(row.id, ()), last_seqs[row.id]) for row in answers}


def _combine_progress(answer: Answer, chunks: Sequence[AnswerChunk], last_seq: int) -> AnswerProgress:
    if not answer.is_running:
        return AnswerProgress(answer, answer.text, last_seq, answer.reasoning)
    text = "".join(chunk.text for chunk in chunks)
    reasoning = "".join(chunk.reasoning for chunk in chunks)
    if last_seq < 0:
        text, reasoning = answer.text + text, answer.reasoning + reasoning
    return AnswerProgress(answer, text, chunks[-1].seq if chunks else last_seq, reasoning)
