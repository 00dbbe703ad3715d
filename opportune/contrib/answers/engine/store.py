"""Storage of running answers.

- Each function changes many answers in one short transaction, because a transaction costs far more than a row.
- Updates require that the answer is still streaming and owned by this worker, so two workers never change the same one.
- Locked rows are skipped, so that one answer cannot delay the others.
- Reads use the primary. On a lagging replica, new answers would look deleted and running workers dead.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, bindparam, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.engine.records import INTERRUPTED, UNREAD, AnswerDelta, AnswerProgress, Claim
from opportune.contrib.answers.models import Answer, AnswerAttachment, AnswerChunk, AnswerStatus
from opportune.db import Database, is_outage
from opportune.db.queries.dialects import database_time, upsert

LEASE_DURATION = timedelta(seconds=15)
RUNNING = (AnswerStatus.STREAMING, AnswerStatus.WAITING)
TRANSIENT_ERRORS = (SQLAlchemyError, TimeoutError)
"""Errors of the database, and locks that were not released in time. Of these, `can_recover` tells which may pass."""
MAX_ANSWERS_PER_QUERY = 200
"""Maximum number of answers per query, because SQLite limits the depth of conditions."""


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
        claims = await lock_answers(session, worker, [delta.answer_id for delta in deltas])
        owned_ids = [answer_id for answer_id, claim in claims.items() if claim != Claim.LOST]
        if renew:
            renewal = update(Answer).values(lease_until=database_time(session, LEASE_DURATION))
            options = {"synchronize_session": False}
            await session.execute(renewal.where(_has_id_in(owned_ids)), execution_options=options)
        if rows := [delta._asdict() for delta in deltas if not delta.is_empty and delta.answer_id in owned_ids]:
            await insert_chunks(session, rows)
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


async def adopt_pictures(session: AsyncSession, answer_id: int, runs: Sequence[Mapping[str, Any]]) -> None:
    """Give the pictures of an answer its topic, by which its feature deletes them."""
    ids = [run["picture"]["id"] for run in runs if "picture" in run]
    if not ids:
        return
    is_of_answer = col(Answer.id) == answer_id
    owner_id = select(col(Answer.owner_id)).where(is_of_answer).scalar_subquery()
    topic = select(col(Answer.topic)).where(is_of_answer).scalar_subquery()
    is_picture = col(AnswerAttachment.id).in_(ids) & (col(AnswerAttachment.owner_id) == owner_id)
    await session.execute(update(AnswerAttachment).where(is_picture).values(topic=topic))


async def read_progress_for_update(session: AsyncSession, answer_id: int) -> AnswerProgress | None:
    """Read an answer and lock its row."""
    await session.execute(select(col(Answer.id)).where(col(Answer.id) == answer_id).with_for_update())
    return (await read_answers(session, {answer_id: UNREAD})).get(answer_id)


async def read_progress(database: Database, last_seqs: Mapping[int, int]) -> dict[int, AnswerProgress]:
    """Read answers by id, with the chunks after a sequence number each. Deleted answers are missing."""
    async with database.reader(fresh=True) as session:
        return await read_answers(session, last_seqs)


async def find_newest_answer(database: Database, condition: ColumnElement[bool]) -> Answer | None:
    """Return the newest matching answer."""
    # Fresh, because a client may resume a stream long after its last write.
    async with database.reader(fresh=True) as session:
        return await session.scalar(select(Answer).where(condition).order_by(col(Answer.id).desc()).limit(1))


async def read_running_answers(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[Answer]:
    """Return the matching answers that have not ended."""
    return (await session.scalars(select(Answer).where(col(Answer.status).in_(RUNNING), condition))).all()


def assign_worker(answer: Answer, worker: str, now: datetime) -> None:
    """Assign an answer to a worker and clear its error and end time."""
    values = {"status": AnswerStatus.STREAMING, "error_code": "", "error": "", "finished_at": None}
    answer.sqlmodel_update({**values, "worker": worker, "lease_until": now + LEASE_DURATION})


async def lock_answers(
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


async def insert_chunks(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    # Insert into the table, because model instances would cost the session additional work.
    table = AnswerChunk.__table__  # type: ignore[attr-defined]  # SQLModel's tables have it
    await session.execute(upsert(session, table).on_conflict_do_nothing(), rows)


async def _read_chunks(session: AsyncSession, last_seqs: Mapping[int, int]) -> dict[int, list[AnswerChunk]]:
    """Return the chunks after the last sequence number of each answer, by answer id."""
    if not last_seqs:
        return {}
    answer_id = col(AnswerChunk.answer_id)
    seq = col(AnswerChunk.seq)
    newer = or_(*((answer_id == id_) & (seq > last_seq) for id_, last_seq in last_seqs.items()))
    rows = await session.scalars(select(AnswerChunk).where(newer).order_by(answer_id, seq))
    return {id_: list(chunks) for id_, chunks in groupby(rows, lambda chunk: chunk.answer_id)}


async def read_answers(session: AsyncSession, last_seqs: Mapping[int, int]) -> dict[int, AnswerProgress]:
    answers = (await session.scalars(select(Answer).where(col(Answer.id).in_(last_seqs)))).all()
    chunks = await _read_chunks(session, {row.id: last_seqs[row.id] for row in answers if row.is_running})
    return {row.id: _combine_progress(row, chunks.get(row.id, ()), last_seqs[row.id]) for row in answers}


def _combine_progress(answer: Answer, chunks: Sequence[AnswerChunk], last_seq: int) -> AnswerProgress:
    if not answer.is_running:
        return AnswerProgress(answer, answer.text, last_seq, answer.reasoning)
    text = "".join(chunk.text for chunk in chunks)
    reasoning = "".join(chunk.reasoning for chunk in chunks)
    if last_seq == UNREAD:
        text = answer.text + text
        reasoning = answer.reasoning + reasoning
    return AnswerProgress(answer, text, chunks[-1].seq if chunks else max(last_seq, -1), reasoning)
