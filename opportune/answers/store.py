"""Stores running answers in the database, for the process that writes them and for those that follow.

Each function is one short transaction for any number of answers: it costs far more than what it says of each. Every
change has one winner: the row must still be streaming, by that worker. Nobody waits here for a row that another
transaction holds: one answer would keep up all the others.
Reads are fresh: to a replica that lags, a new answer would be deleted and a living process dead.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.answers.models import Answer, AnswerChunk, AnswerStatus
from opportune.db import Database, utc_now
from opportune.db.hooks import has_hooks

LEASE_DURATION = timedelta(seconds=15)


@dataclass(frozen=True)
class Outcome:
    """How an answer ended."""

    status: AnswerStatus
    error_code: str = ""
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_estimated: bool = True
    model: str = ""
    """Who answered, where that is known: it may have been the fallback of whom was asked."""


STOPPED = Outcome(AnswerStatus.STOPPED)
INTERRUPTED = Outcome(
    AnswerStatus.INTERRUPTED, "interrupted", "The server stopped while this answer was being written."
)
NOT_STORED = Outcome(AnswerStatus.FAILED, "database", "The answer could not be stored. Try again.")
INTERNAL_ERROR = Outcome(AnswerStatus.FAILED, "internal", "Something went wrong on our side. Try again.")


@dataclass(frozen=True)
class AnswerDelta:
    """Text by which an answer has grown since the last save; that may be nothing."""

    answer_id: int
    seq: int
    text: str


@dataclass(frozen=True)
class AnswerEnd:
    """A whole answer, and how it ended."""

    answer_id: int
    text: str
    outcome: Outcome


@dataclass(frozen=True)
class AnswerProgress:
    """What is stored of an answer: all its text, or what came after a chunk while it is written."""

    answer: Answer
    text: str = ""
    last_seq: int = -1


async def save(
    database: Database, worker: str, deltas: Sequence[AnswerDelta], *, renew: bool
) -> dict[int, bool | None]:
    """Append chunks, and renew the leases of their answers if wanted.

    By answer: True if somebody has asked to stop it, None if it is no longer this worker's. What is missing is in
    somebody else's transaction, and nothing of it was saved. A chunk that is there already is not saved twice.
    """
    async with database.writer() as session:
        stops = await _hold(session, worker, [delta.answer_id for delta in deltas])
        held = [answer_id for answer_id, stop in stops.items() if stop is not None]
        if renew:
            renewal = update(Answer).where(col(Answer.id).in_(held)).values(lease_until=utc_now() + LEASE_DURATION)
            await session.execute(renewal, execution_options={"synchronize_session": False})
        if rows := [asdict(delta) for delta in deltas if delta.text and delta.answer_id in held]:
            await _append(session, rows)
        return stops


async def finish(database: Database, worker: str, ends: Sequence[AnswerEnd]) -> dict[int, Answer | None]:
    """Write whole answers and how they ended, where they are still this worker's, and give back what is now stored.

    What is missing is in somebody else's transaction, and was not written.
    """
    async with database.writer() as session:
        stops = await _hold(session, worker, [end.answer_id for end in ends])
        await _end(session, [end for end in ends if stops.get(end.answer_id) is not None])
        stored = await session.scalars(select(Answer).where(col(Answer.id).in_(stops)))
        return {**dict.fromkeys(stops), **{answer.id: answer for answer in stored}}


async def read(database: Database, after: Mapping[int, int]) -> dict[int, AnswerProgress]:
    """Answers by their ids, with what came after the chunks that are named (-1 for all). Deleted ones are missing."""
    async with database.reader(fresh=True) as session:
        return await _read(session, after)


async def interrupt_expired(database: Database, answers: Collection[int], alive: Collection[int] = ()) -> int:
    """End those of these answers whose process has not renewed its lease: it is dead, unless they are `alive`."""
    among = col(Answer.id).in_(set(answers) - set(alive))
    async with database.reader(fresh=True) as session:
        if not (await session.scalars(select(col(Answer.id)).where(_expired(), among))).first():
            return 0
    async with database.writer() as session:
        return await end_expired(session, among)


async def end_expired(session: AsyncSession, among: ColumnElement[bool]) -> int:
    """End the answers of dead processes of which this is true, with the text that was saved."""
    expired = select(col(Answer.id)).where(_expired(), among)
    dead = (await session.scalars(expired.with_for_update(skip_locked=True))).all()
    ends = [AnswerEnd(found.answer.id, found.text, INTERRUPTED) for found in (await _read(session, dead)).values()]
    await _end(session, ends)
    return len(dead)


def _expired() -> ColumnElement[bool]:
    return (col(Answer.status) == AnswerStatus.STREAMING) & (col(Answer.lease_until) < utc_now())


async def _hold(session: AsyncSession, worker: str, ids: Collection[int]) -> dict[int, bool | None]:
    """Keep those that are this worker's from all others until the transaction ends; the result is as `save` tells."""
    free = select(col(Answer.id), col(Answer.stop_requested)).where(_held(worker, ids))
    rows = await session.execute(free.with_for_update(skip_locked=True))
    stops: dict[int, bool | None] = {row.id: row.stop_requested for row in rows}
    if missing := set(ids) - stops.keys():
        locked = await session.scalars(select(col(Answer.id)).where(_held(worker, missing)))
        stops |= dict.fromkeys(missing - set(locked))
    return stops


def _held(worker: str, ids: Collection[int]) -> ColumnElement[bool]:
    return col(Answer.id).in_(ids) & (col(Answer.status) == AnswerStatus.STREAMING) & (col(Answer.worker) == worker)


async def _append(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - the other database's, at each start

    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    await session.execute(insert(AnswerChunk).on_conflict_do_nothing(), rows)


async def _end(session: AsyncSession, ends: Sequence[AnswerEnd]) -> None:
    if not ends:
        return
    rows = [_row(end) for end in ends]
    if has_hooks(Answer):
        await _end_objects(session, rows)
    else:
        await session.execute(update(Answer), rows)
    ids = [end.answer_id for end in ends]
    await session.execute(delete(AnswerChunk).where(col(AnswerChunk.answer_id).in_(ids)))


def _row(end: AnswerEnd) -> dict[str, Any]:
    row = {
        "id": end.answer_id,
        "text": end.text,
        **vars(end.outcome),
        "finished_at": utc_now(),
        "lease_until": None,
        "stop_requested": False,
    }
    if not end.outcome.model:
        del row["model"]
    if end.outcome.status == AnswerStatus.DONE:
        row["prompt"] = []
    return row


async def _end_objects(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """What hooks are told of is an object."""
    found = await session.scalars(select(Answer).where(col(Answer.id).in_([row["id"] for row in rows])))
    answers = {answer.id: answer for answer in found}
    for row in rows:
        answers[row["id"]].sqlmodel_update(row)
    await session.flush()


async def _chunks(session: AsyncSession, after: Mapping[int, int]) -> dict[int, list[AnswerChunk]]:
    """In their order, by answer."""
    if not after:
        return {}
    answer_id, seq = col(AnswerChunk.answer_id), col(AnswerChunk.seq)
    newer = or_(*((answer_id == answer) & (seq > last) for answer, last in after.items()))
    found = await session.scalars(select(AnswerChunk).where(newer).order_by(answer_id, seq))
    return {answer: list(chunks) for answer, chunks in groupby(found, lambda chunk: chunk.answer_id)}


async def _read(session: AsyncSession, after: Mapping[int, int] | Sequence[int]) -> dict[int, AnswerProgress]:
    last = after if isinstance(after, Mapping) else dict.fromkeys(after, -1)
    answers = (await session.scalars(select(Answer).where(col(Answer.id).in_(last)))).all()
    chunks = await _chunks(session, {row.id: last[row.id] for row in answers if row.is_running})
    return {row.id: _progress(row, chunks.get(row.id, ()), last[row.id]) for row in answers}


def _progress(answer: Answer, chunks: Sequence[AnswerChunk], after: int) -> AnswerProgress:
    if not answer.is_running:
        return AnswerProgress(answer, answer.text, after)
    beginning = answer.text if after < 0 else ""
    return AnswerProgress(answer, beginning + _joined(chunks), chunks[-1].seq if chunks else after)


def _joined(chunks: Iterable[AnswerChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)
