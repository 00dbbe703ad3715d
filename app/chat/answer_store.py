"""Stores running answers in the database, for the process that writes them and for those that follow.

Each function is one short transaction for any number of answers: it costs far more than what it says of each. Every
change has one winner: the row must still be streaming, by that worker. Nobody waits here for a row that another
transaction holds: one answer would keep up all the others.
Reads are fresh: to a replica that lags, a new answer would be deleted and a living process dead.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import AnswerChunk, Message, Status
from app.chat.service import LEASE_DURATION
from opportune.db import Database, utc_now


@dataclass(frozen=True)
class Outcome:
    """How an answer ended."""

    status: Status
    error_code: str = ""
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_estimated: bool = True


STOPPED = Outcome(Status.STOPPED)
INTERRUPTED = Outcome(Status.INTERRUPTED, "interrupted", "The server stopped while this answer was being written.")
NOT_STORED = Outcome(Status.FAILED, "database", "The answer could not be stored. Try again.")
INTERNAL_ERROR = Outcome(Status.FAILED, "internal", "Something went wrong on our side. Try again.")


@dataclass(frozen=True)
class AnswerDelta:
    """Text by which an answer has grown since the last save; that may be nothing."""

    message_id: int
    seq: int
    text: str


@dataclass(frozen=True)
class AnswerEnd:
    """A whole answer, and how it ended."""

    message_id: int
    text: str
    outcome: Outcome


@dataclass(frozen=True)
class AnswerProgress:
    """What is stored of an answer; `text` is all of it once it has ended, else what came after a chunk."""

    message: Message
    text: str
    last_seq: int


async def save(
    database: Database, worker: str, deltas: Sequence[AnswerDelta], *, renew: bool
) -> dict[int, bool | None]:
    """Append chunks, and renew the leases of their answers if wanted.

    By answer: True if somebody has asked to stop it, None if it is no longer this worker's. What is missing is in
    somebody else's transaction, and nothing of it was saved. A chunk that is there already is not saved twice.
    """
    async with database.writer() as session:
        stops = await _hold(session, worker, [delta.message_id for delta in deltas])
        held = [message_id for message_id, stop in stops.items() if stop is not None]
        if renew:
            renewal = update(Message).where(col(Message.id).in_(held)).values(lease_until=utc_now() + LEASE_DURATION)
            await session.execute(renewal, execution_options={"synchronize_session": False})
        if rows := [asdict(delta) for delta in deltas if delta.text and delta.message_id in held]:
            await _append(session, rows)
        return stops


async def finish(database: Database, worker: str, ends: Sequence[AnswerEnd]) -> dict[int, Message | None]:
    """Write whole answers and how they ended, where they are still this worker's, and give back what is now stored.

    What is missing is in somebody else's transaction, and was not written.
    """
    async with database.writer() as session:
        stops = await _hold(session, worker, [end.message_id for end in ends])
        await _end(session, [end for end in ends if stops.get(end.message_id) is not None])
        stored = await session.scalars(select(Message).where(col(Message.id).in_(stops)))
        return {**dict.fromkeys(stops), **{message.id: message for message in stored}}


async def read(database: Database, after: Mapping[int, int]) -> dict[int, AnswerProgress]:
    """Answers by their ids, with the chunks after those that are named (-1 for all). Deleted ones are missing."""
    async with database.reader(fresh=True) as session:
        messages = (await session.scalars(select(Message).where(col(Message.id).in_(after)))).all()
        chunks = await _chunks(session, {row.id: after[row.id] for row in messages if row.status == Status.STREAMING})
    return {row.id: _progress(row, chunks.get(row.id, ()), after[row.id]) for row in messages}


async def interrupt_expired(database: Database, conversations: Collection[int], alive: Collection[int] = ()) -> int:
    """End the answers whose process has not renewed its lease: it is dead, unless they are among those `alive`.

    Keeps the text that was saved.
    """
    expired = (col(Message.status) == Status.STREAMING) & (col(Message.lease_until) < utc_now())
    expired &= col(Message.conversation_id).in_(conversations) & col(Message.id).not_in(alive)
    found = select(col(Message.id)).where(expired)
    async with database.reader(fresh=True) as session:
        if not (await session.scalars(found)).first():
            return 0
    async with database.writer() as session:
        dead = (await session.scalars(found.with_for_update(skip_locked=True))).all()
        chunks = await _chunks(session, dict.fromkeys(dead, -1))
        await _end(session, [AnswerEnd(each, _joined(chunks.get(each, ())), INTERRUPTED) for each in dead])
        return len(dead)


async def _hold(session: AsyncSession, worker: str, ids: Collection[int]) -> dict[int, bool | None]:
    """Keep those that are this worker's from all others until the transaction ends; the result is as `save` tells."""
    free = select(col(Message.id), col(Message.stop_requested)).where(_held(worker, ids))
    rows = await session.execute(free.with_for_update(skip_locked=True))
    stops: dict[int, bool | None] = {row.id: row.stop_requested for row in rows}
    if missing := set(ids) - stops.keys():
        locked = await session.scalars(select(col(Message.id)).where(_held(worker, missing)))
        stops |= dict.fromkeys(missing - set(locked))
    return stops


def _held(worker: str, ids: Collection[int]) -> ColumnElement[bool]:
    return col(Message.id).in_(ids) & (col(Message.status) == Status.STREAMING) & (col(Message.worker) == worker)


async def _append(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    from sqlalchemy.dialects import postgresql, sqlite  # noqa: PLC0415 - the other database's, at each start

    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    await session.execute(insert(AnswerChunk).on_conflict_do_nothing(), rows)


async def _end(session: AsyncSession, ends: Sequence[AnswerEnd]) -> None:
    if not ends:
        return
    ended = {"finished_at": utc_now(), "lease_until": None}
    rows = [{"id": end.message_id, "text": end.text, **vars(end.outcome), **ended} for end in ends]
    await session.execute(update(Message), rows)
    ids = [end.message_id for end in ends]
    await session.execute(delete(AnswerChunk).where(col(AnswerChunk.message_id).in_(ids)))


async def _chunks(session: AsyncSession, after: Mapping[int, int]) -> dict[int, list[AnswerChunk]]:
    """In their order, by answer."""
    if not after:
        return {}
    message_id, seq = col(AnswerChunk.message_id), col(AnswerChunk.seq)
    newer = or_(*((message_id == answer) & (seq > last) for answer, last in after.items()))
    found = await session.scalars(select(AnswerChunk).where(newer).order_by(message_id, seq))
    return {answer: list(chunks) for answer, chunks in groupby(found, lambda chunk: chunk.message_id)}


def _progress(message: Message, chunks: Sequence[AnswerChunk], after: int) -> AnswerProgress:
    if message.status != Status.STREAMING:
        return AnswerProgress(message, message.text, after)
    return AnswerProgress(message, _joined(chunks), chunks[-1].seq if chunks else after)


def _joined(chunks: Iterable[AnswerChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)
