"""The database's side of a running answer, for the process that writes it and for those that follow.

Each function is one short transaction. Every change has one winner: the row must still be streaming, by that worker.
Reads are fresh: to a replica that lags, a new answer would be deleted and a living process dead.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.core.db.database import Database
from app.core.db.model import utc_now
from app.features.chat.models import AnswerChunk, Message, Status
from app.features.chat.service import LEASE


@dataclass(frozen=True)
class Outcome:
    """How an answer ended."""

    status: Status
    error_code: str = ""
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_estimated: bool = True


@dataclass(frozen=True)
class Progress:
    """What the database knows of an answer; `text` is all of it once it has ended, else what came after a piece."""

    message: Message
    text: str
    last_seq: int


def _held(message_id: int, worker: str) -> ColumnElement[bool]:
    return (col(Message.id) == message_id) & (col(Message.status) == Status.STREAMING) & (col(Message.worker) == worker)


async def save(database: Database, message_id: int, worker: str, seq: int, text: str) -> bool | None:
    """Append a piece and renew the lease. True: somebody asked to stop. None: the answer is no longer this worker's."""
    async with database.writer() as session:
        renewal = update(Message).where(_held(message_id, worker)).values(lease_until=utc_now() + LEASE)
        stop = (await session.execute(renewal.returning(col(Message.stop_requested)))).scalar_one_or_none()
        if stop is not None and text:
            session.add(AnswerChunk(message_id=message_id, seq=seq, text=text))
        return stop


async def finish(database: Database, message_id: int, worker: str, text: str, outcome: Outcome) -> Message | None:
    """Write the whole answer and how it ended, if it is still this worker's, and give back what is now stored."""
    async with database.writer() as session:
        await _end(session, _held(message_id, worker), message_id, text, outcome)
        return await session.get(Message, message_id)


async def read(database: Database, message_id: int, after_seq: int = -1) -> Progress | None:
    """An answer and the pieces after one; None where it has been deleted."""
    async with database.reader(fresh=True) as session:
        message = await session.get(Message, message_id)
        if message is None:
            return None
        if message.status != Status.STREAMING:
            return Progress(message, message.text, after_seq)
        pieces = await _pieces(session, message_id, after_seq)
        last = pieces[-1].seq if pieces else after_seq
        return Progress(message, "".join(piece.text for piece in pieces), last)


async def interrupt_expired(database: Database, conversation_id: int | None = None, alive: Collection[int] = ()) -> int:
    """End the answers whose process has not renewed its lease: it is dead, unless they are among those `alive`.

    Keeps the text that was saved.
    """
    expired = (col(Message.status) == Status.STREAMING) & (col(Message.lease_until) < utc_now())
    expired &= (col(Message.conversation_id) == conversation_id) & col(Message.id).not_in(alive)
    async with database.reader(fresh=True) as session:
        found = (await session.execute(select(col(Message.id), col(Message.worker)).where(expired))).all()
    if not found:
        return 0
    outcome = Outcome(Status.INTERRUPTED, "interrupted", "The server stopped while this answer was being written.")
    async with database.writer() as session:
        ended = 0
        for message_id, worker in found:
            text = "".join(piece.text for piece in await _pieces(session, message_id, -1))
            ended += await _end(session, _held(message_id, worker) & expired, message_id, text, outcome)
        return ended


async def _pieces(session: AsyncSession, message_id: int, after_seq: int) -> list[AnswerChunk]:
    query = select(AnswerChunk).where(col(AnswerChunk.message_id) == message_id, col(AnswerChunk.seq) > after_seq)
    return list((await session.scalars(query.order_by(col(AnswerChunk.seq)))).all())


async def _end(
    session: AsyncSession, condition: ColumnElement[bool], message_id: int, text: str, outcome: Outcome
) -> bool:
    values: dict[str, Any] = {**vars(outcome), "text": text, "finished_at": utc_now(), "lease_until": None}
    result = await session.execute(update(Message).where(condition).values(values).returning(col(Message.id)))
    if result.scalar_one_or_none() is None:
        return False
    await session.execute(delete(AnswerChunk).where(col(AnswerChunk.message_id) == message_id))
    return True
