"""Storage of running answers.

- Each function is one short transaction for many answers, because a transaction costs far more than a row.
- Updates require that the answer is still streaming and owned by this worker, so each change has one winner.
- Locked rows are skipped, so that one answer cannot delay the others.
- Reads use the primary: on a lagging replica, new answers would look deleted and living processes dead.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Any, Self, TypeVar

from sqlalchemy import ColumnElement, bindparam, delete, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db import Database, utc_now
from opportune.db.hooks.registry import has_hooks
from opportune.db.queries.upsert import upsert
from opportune.llm.answers.models import Answer, AnswerChunk, AnswerStatus
from opportune.llm.spending.call_guard import MAX_REPORTED_TOKENS

V = TypeVar("V")

LEASE_DURATION = timedelta(seconds=15)
APPROVAL_DURATION = timedelta(days=7)
"""Time to approve a tool call. Later it counts as refused."""
RUNNING = (AnswerStatus.STREAMING, AnswerStatus.WAITING)
TRANSIENT_ERRORS = (SQLAlchemyError, TimeoutError)
"""Errors after which the operation may be repeated."""
MAX_ANSWERS_PER_QUERY = 200
"""Maximum number of answers per query, because SQLite limits the depth of conditions."""
MAX_ENDS_PER_STEP = 25
"""Maximum number of answers to finish per statement. Other requests run between statements."""


@dataclass(frozen=True)
class Outcome:
    """Status and usage at the end of an answer."""

    status: AnswerStatus
    error_code: str = ""
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    usage_estimated: bool = True
    cost_micro: int = 0
    model: str = ""
    """Model that answered, if known. It may be a fallback."""


STOPPED = Outcome(AnswerStatus.STOPPED)
INTERRUPTED = Outcome(
    AnswerStatus.INTERRUPTED, "interrupted", "The server stopped while this answer was being written."
)
NOT_STORED = Outcome(AnswerStatus.FAILED, "database", "The answer could not be stored. Try again.")
HANDED_OVER = Outcome(AnswerStatus.STREAMING)
"""Not an end: this process stops, and another one continues the answer."""
INTERNAL_ERROR = Outcome(AnswerStatus.FAILED, "internal", "Something went wrong on our side. Try again.")


@dataclass(frozen=True)
class AnswerDelta:
    """New text and reasoning since the last save."""

    answer_id: int
    seq: int
    text: str
    reasoning: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.reasoning)


@dataclass(frozen=True)
class AnswerEnd:
    """Complete text and outcome of an answer."""

    answer_id: int
    text: str
    outcome: Outcome
    unsaved: Sequence[AnswerDelta] = ()
    """Deltas that may not be committed, for an answer that is handed over."""
    tool_runs: Sequence[dict[str, Any]] | None = None
    """Tool calls; None if they are already stored."""
    sources: Sequence[dict[str, Any]] = ()
    runs_hooks: bool = True
    reasoning: str = ""


@dataclass(frozen=True)
class AnswerProgress:
    """Stored text of an answer: all of it, or only the chunks after the requested sequence number."""

    answer: Answer
    text: str = ""
    last_seq: int = -1
    reasoning: str = ""

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """The progress of an answer without chunks."""
        return cls(answer, answer.text, reasoning=answer.reasoning)


async def save(
    database: Database, worker: str, deltas: Sequence[AnswerDelta], *, renew: bool
) -> dict[int, bool | None]:
    """Append chunks, and renew the leases of their answers if `renew`. Existing chunks are skipped.

    Returns:
        True by answer id if a stop is requested, None if the answer has another worker, else False. Answers locked by
        another transaction are missing; their chunks were not saved.
    """
    async with database.writer() as session:
        stops = await _hold(session, worker, [delta.answer_id for delta in deltas])
        held = [answer_id for answer_id, stop in stops.items() if stop is not None]
        if renew:
            renewal = update(Answer).where(_is_one_of(held)).values(lease_until=utc_now() + LEASE_DURATION)
            await session.execute(renewal, execution_options={"synchronize_session": False})
        if rows := [vars(delta) for delta in deltas if not delta.is_empty and delta.answer_id in held]:
            await _append(session, rows)
        return stops


async def note_tool_runs(
    database: Database,
    worker: str,
    answer_id: int,
    runs: Sequence[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
) -> bool:
    """Store the tool runs and sources of an answer, and return whether it still belongs to this worker."""
    async with database.writer() as session:
        values = {"tool_runs": [*runs], "sources": [*sources]}
        statement = update(Answer).where(_held(worker, [answer_id])).values(values)
        return (await session.execute(statement.returning(col(Answer.id)))).first() is not None


async def finish(database: Database, worker: str, ends: Sequence[AnswerEnd]) -> dict[int, Answer | None]:
    """Write the ends of answers of this worker, and return the stored answers.

    Answers locked by another transaction are missing; their ends were not written.
    """
    async with database.writer() as session:
        # Include interrupted ones: after an outage, this worker may have been considered dead but has more text.
        stops = await _hold(session, worker, [end.answer_id for end in ends], INTERRUPTED.status)
        held = [_stopped(end) if stops[end.answer_id] else end for end in ends if stops.get(end.answer_id) is not None]
        await _hand_over(session, [end for end in held if end.outcome.status in RUNNING])
        await _end(session, [end for end in held if end.outcome.status not in RUNNING])
        stored = dict[int, Answer | None].fromkeys(stops)
        for ids in _steps([*stops]):
            answers = await session.scalars(select(Answer).where(col(Answer.id).in_(ids)))
            stored |= {answer.id: answer for answer in answers}
        return stored


def _stopped(end: AnswerEnd) -> AnswerEnd:
    """Return the end of an answer with a stop request: it stops instead of waiting."""
    return replace(end, outcome=STOPPED) if end.outcome.status == AnswerStatus.WAITING else end


async def _hand_over(session: AsyncSession, ends: Sequence[AnswerEnd]) -> None:
    """Release the answers so that another worker can continue them. Waiting answers continue after an approval."""
    if rows := [vars(delta) for end in ends for delta in end.unsaved if not delta.is_empty]:
        await _append(session, rows)
    waiting = [end for end in ends if end.outcome.status == AnswerStatus.WAITING]
    if rows := [_waiting_row(end) for end in waiting]:
        await session.execute(update(Answer), rows)
    if ids := [end.answer_id for end in ends if end not in waiting]:
        statement = update(Answer).where(col(Answer.id).in_(ids))
        await session.execute(statement.values(worker="", lease_until=utc_now()))


def _waiting_row(end: AnswerEnd) -> dict[str, Any]:
    row = _row(end) | {"worker": "", "lease_until": utc_now() + APPROVAL_DURATION}
    return {name: value for name, value in row.items() if name not in ("text", "reasoning", "finished_at")}


async def stop(session: AsyncSession, answer_id: int) -> None:
    """Request the worker of an answer to stop. An answer that waits for an approval ends immediately."""
    progress = await read_for_update(session, answer_id)
    if progress and progress.answer.is_waiting:
        await _end(session, [AnswerEnd(answer_id, progress.text, STOPPED, reasoning=progress.reasoning)])
    elif progress and progress.answer.is_running:
        progress.answer.stop_requested = True


async def read_for_update(session: AsyncSession, answer_id: int) -> AnswerProgress | None:
    """Read an answer and lock its row."""
    await session.execute(select(col(Answer.id)).where(col(Answer.id) == answer_id).with_for_update())
    return (await _read(session, [answer_id])).get(answer_id)


async def read(database: Database, after: Mapping[int, int]) -> dict[int, AnswerProgress]:
    """Read answers with the chunks after a sequence number (-1 for all), by id. Deleted answers are missing."""
    async with database.reader(fresh=True) as session:
        return await _read(session, after)


async def find_newest(database: Database, condition: ColumnElement[bool]) -> Answer | None:
    """Return the newest matching answer."""
    # Fresh, because a client may resume a stream long after its last write.
    async with database.reader(fresh=True) as session:
        query = select(Answer).where(condition).order_by(col(Answer.id).desc()).limit(1)
        return (await session.scalars(query)).one_or_none()


async def read_running(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[Answer]:
    """Return the matching answers that have not ended."""
    return (await session.scalars(select(Answer).where(col(Answer.status).in_(RUNNING), condition))).all()


async def take_over(
    session: AsyncSession,
    worker: str,
    dead: Collection[Answer],
    can_continue: Callable[[AnswerProgress], bool],
    otherwise: Outcome = INTERRUPTED,
) -> list[AnswerProgress]:
    """Take over the answers of dead processes that can be continued, and return them. End the others.

    Also ends answers whose time for an approval has expired. If several workers try, only one gets each answer.

    Args:
        session: A session that writes.
        worker: Id of this worker.
        dead: Answers as last read.
        can_continue: Returns True for answers that this worker can continue.
        otherwise: Outcome of the other answers; with a stop request it is STOPPED.
    """
    id_, worker_, lease = col(Answer.id), col(Answer.worker), col(Answer.lease_until)
    unchanged = ((id_ == row.id) & (worker_ == row.worker) & (lease <= row.lease_until) for row in dead)
    free = select(id_).where(or_(*unchanged), col(Answer.status).in_(RUNNING))
    locked = (await session.scalars(free.with_for_update(skip_locked=True))).all()
    taken, ends = list[AnswerProgress](), list[AnswerEnd]()
    for progress in (await _read(session, locked)).values():
        answer = progress.answer
        if not answer.stop_requested and can_continue(progress):
            begin(answer, worker)
            answer.takeovers += 1
            taken.append(progress)
        else:
            outcome = STOPPED if answer.stop_requested else otherwise
            ends.append(AnswerEnd(answer.id, progress.text, outcome, reasoning=progress.reasoning))
    await session.flush()
    await _end(session, ends)
    return taken


def begin(answer: Answer, worker: str) -> None:
    """Assign an answer to a worker and clear its error and end time."""
    values = {"status": AnswerStatus.STREAMING, "error_code": "", "error": "", "finished_at": None}
    answer.sqlmodel_update({**values, "worker": worker, "lease_until": utc_now() + LEASE_DURATION})


async def _hold(
    session: AsyncSession, worker: str, ids: Collection[int], *also: AnswerStatus
) -> dict[int, bool | None]:
    """Lock the answers of this worker. The result is that of `save`."""
    free = select(col(Answer.id), col(Answer.stop_requested)).where(
        _held(worker, ids), col(Answer.status).in_([AnswerStatus.STREAMING, *also])
    )
    rows = await session.execute(free.with_for_update(skip_locked=True))
    stops: dict[int, bool | None] = {row.id: row.stop_requested for row in rows}
    if missing := set(ids) - stops.keys():
        elsewhere = await session.scalars(select(col(Answer.id)).where(_held(worker, missing)))
        stops |= dict.fromkeys(missing - set(elsewhere))
    return stops


def _held(worker: str, ids: Collection[int]) -> ColumnElement[bool]:
    """Condition for answers of this worker, including those that were interrupted but not taken over."""
    can_continue = col(Answer.status).in_([AnswerStatus.STREAMING, INTERRUPTED.status])
    return _is_one_of(ids) & can_continue & (col(Answer.worker) == worker)


def _is_one_of(ids: Collection[int]) -> ColumnElement[bool]:
    """Faster than `in_` with a list, which inspects each of hundreds of numbers."""
    return col(Answer.id).in_(bindparam("ids", [*ids], expanding=True, unique=True))


async def _append(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    # Into the table instead of the model, because the session's work per row would be a third of the cost.
    table = AnswerChunk.__table__  # type: ignore[attr-defined]  # SQLModel's tables have it
    await session.execute(upsert(session, table).on_conflict_do_nothing(), rows)


async def _end(session: AsyncSession, ends: Sequence[AnswerEnd]) -> None:
    runs_hooks = has_hooks(Answer) and all(end.runs_hooks for end in ends)
    for step in _steps(ends):
        rows = [_row(end) for end in step]
        if runs_hooks:
            await _update_instances(session, rows)
        else:
            await session.execute(update(Answer), rows)
        ids = [end.answer_id for end in step]
        await session.execute(delete(AnswerChunk).where(col(AnswerChunk.answer_id).in_(ids)))


def _steps(values: Sequence[V]) -> Iterator[Sequence[V]]:
    return (values[start : start + MAX_ENDS_PER_STEP] for start in range(0, len(values), MAX_ENDS_PER_STEP))


def _row(end: AnswerEnd) -> dict[str, Any]:
    row = {
        "id": end.answer_id,
        "text": end.text,
        "reasoning": end.reasoning,
        **vars(end.outcome),
        "finished_at": utc_now(),
        "lease_until": None,
        "stop_requested": False,
    }
    for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens"):
        row[name] = min(max(row[name], 0), MAX_REPORTED_TOKENS)  # larger sums come from broken endpoints
    if end.tool_runs:
        row |= {"tool_runs": end.tool_runs, "sources": end.sources}
    if not end.outcome.model:
        del row["model"]
    if end.outcome.status == AnswerStatus.DONE:
        row["prompt"] = []
    return row


async def _update_instances(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Update through model instances, which hooks receive."""
    instances = await session.scalars(select(Answer).where(col(Answer.id).in_([row["id"] for row in rows])))
    answers = {answer.id: answer for answer in instances}
    for row in rows:
        answers[row["id"]].sqlmodel_update(row)
    await session.flush()


async def _chunks(session: AsyncSession, after: Mapping[int, int]) -> dict[int, list[AnswerChunk]]:
    """Return the chunks after a sequence number in order, by answer id."""
    if not after:
        return {}
    answer_id, seq = col(AnswerChunk.answer_id), col(AnswerChunk.seq)
    newer = or_(*((answer_id == answer) & (seq > last) for answer, last in after.items()))
    rows = await session.scalars(select(AnswerChunk).where(newer).order_by(answer_id, seq))
    return {answer: list(chunks) for answer, chunks in groupby(rows, lambda chunk: chunk.answer_id)}


async def _read(session: AsyncSession, after: Mapping[int, int] | Sequence[int]) -> dict[int, AnswerProgress]:
    last = after if isinstance(after, Mapping) else dict.fromkeys(after, -1)
    answers = (await session.scalars(select(Answer).where(col(Answer.id).in_(last)))).all()
    chunks = await _chunks(session, {row.id: last[row.id] for row in answers if row.is_running})
    return {row.id: _progress(row, chunks.get(row.id, ()), last[row.id]) for row in answers}


def _progress(answer: Answer, chunks: Sequence[AnswerChunk], after: int) -> AnswerProgress:
    if not answer.is_running:
        return AnswerProgress(answer, answer.text, after, answer.reasoning)
    text = "".join(chunk.text for chunk in chunks)
    reasoning = "".join(chunk.reasoning for chunk in chunks)
    if after < 0:
        text, reasoning = answer.text + text, answer.reasoning + reasoning
    return AnswerProgress(answer, text, chunks[-1].seq if chunks else after, reasoning)
