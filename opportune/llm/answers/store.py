"""Stores running answers in the database, for the process that writes them and for those that follow.

Each function is one short transaction for any number of answers: it costs far more than what it says of each. Every
change has one winner: the row must still be streaming, by that worker. Nobody waits here for a row that another
transaction holds: one answer would keep up all the others.
Reads are fresh: to a replica that lags, a new answer would be deleted and a living process dead.
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
from opportune.llm.spending.call_guard import MAX_TOLD_TOKENS

V = TypeVar("V")

LEASE_DURATION = timedelta(seconds=15)
APPROVAL_DURATION = timedelta(days=7)
"""How long an answer waits for somebody to say whether a tool may run; then that counts as a no."""
RUNNING = (AnswerStatus.STREAMING, AnswerStatus.WAITING)
TRANSIENT_ERRORS = (SQLAlchemyError, TimeoutError)
"""What a database may answer instead of doing what it was asked, for a reason that may pass."""
MAX_ANSWERS_PER_QUERY = 200
"""Answers in one look, at most: SQLite reads no longer conditions."""
MAX_ENDS_PER_STEP = 25
"""Answers that end between two looks at other requests: hundreds may end at once."""


@dataclass(frozen=True)
class Outcome:
    """How an answer ended."""

    status: AnswerStatus
    error_code: str = ""
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    usage_estimated: bool = True
    cost_micro: int = 0
    model: str = ""
    """Who answered, where that is known: it may have been the fallback of whom was asked."""


STOPPED = Outcome(AnswerStatus.STOPPED)
INTERRUPTED = Outcome(
    AnswerStatus.INTERRUPTED, "interrupted", "The server stopped while this answer was being written."
)
NOT_STORED = Outcome(AnswerStatus.FAILED, "database", "The answer could not be stored. Try again.")
HANDED_OVER = Outcome(AnswerStatus.STREAMING)
"""It has not ended: this process stops, and another one goes on with it."""
INTERNAL_ERROR = Outcome(AnswerStatus.FAILED, "internal", "Something went wrong on our side. Try again.")


@dataclass(frozen=True)
class AnswerDelta:
    """Text and reasoning that an answer has gained since the last save; both may be empty."""

    answer_id: int
    seq: int
    text: str
    reasoning: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.text or self.reasoning)


@dataclass(frozen=True)
class AnswerEnd:
    """A whole answer, and how it ended."""

    answer_id: int
    text: str
    outcome: Outcome
    unsaved: Sequence[AnswerDelta] = ()
    """What may not be committed yet, for an answer that has not ended."""
    tool_runs: Sequence[dict[str, Any]] | None = None
    """What it has had called; None where that is stored already."""
    sources: Sequence[dict[str, Any]] = ()
    tells_hooks: bool = True
    reasoning: str = ""


@dataclass(frozen=True)
class AnswerProgress:
    """What is stored of an answer: all its text, or what came after a chunk while it is written."""

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
    """Append chunks, and renew the leases of their answers if wanted.

    By answer: True if somebody has asked to stop it, None if it is no longer this worker's. What is missing is in
    somebody else's transaction, and nothing of it was saved. A chunk that is there already is not saved twice.
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
        noted = update(Answer).where(_held(worker, [answer_id])).values(values)
        return (await session.execute(noted.returning(col(Answer.id)))).first() is not None


async def finish(database: Database, worker: str, ends: Sequence[AnswerEnd]) -> dict[int, Answer | None]:
    """Write whole answers and how they ended, where they are still this worker's, and give back what is now stored.

    What is missing is in somebody else's transaction, and was not written.
    """
    async with database.writer() as session:
        # Who could not reach the database for long may have been taken for dead, and has more than what is there.
        stops = await _hold(session, worker, [end.answer_id for end in ends], INTERRUPTED.status)
        held = [_stopped(end) if stops[end.answer_id] else end for end in ends if stops.get(end.answer_id) is not None]
        await _hand_over(session, [end for end in held if end.outcome.status in RUNNING])
        await _end(session, [end for end in held if end.outcome.status not in RUNNING])
        stored = dict[int, Answer | None].fromkeys(stops)
        for ids in _steps([*stops]):
            found = await session.scalars(select(Answer).where(col(Answer.id).in_(ids)))
            stored |= {answer.id: answer for answer in found}
        return stored


def _stopped(end: AnswerEnd) -> AnswerEnd:
    """Nobody has to allow anything for an answer that is to stop."""
    return replace(end, outcome=STOPPED) if end.outcome.status == AnswerStatus.WAITING else end


async def _hand_over(session: AsyncSession, ends: Sequence[AnswerEnd]) -> None:
    """Leave them to another process: at once, or when a person has allowed something."""
    if rows := [vars(delta) for end in ends for delta in end.unsaved if not delta.is_empty]:
        await _append(session, rows)
    waiting = [end for end in ends if end.outcome.status == AnswerStatus.WAITING]
    if rows := [_waiting_row(end) for end in waiting]:
        await session.execute(update(Answer), rows)
    if ids := [end.answer_id for end in ends if end not in waiting]:
        freed = update(Answer).where(col(Answer.id).in_(ids))
        await session.execute(freed.values(worker="", lease_until=utc_now()))


def _waiting_row(end: AnswerEnd) -> dict[str, Any]:
    row = _row(end) | {"worker": "", "lease_until": utc_now() + APPROVAL_DURATION}
    return {name: value for name, value in row.items() if name not in ("text", "reasoning", "finished_at")}


async def stop(session: AsyncSession, answer_id: int) -> None:
    """Ask whoever writes an answer to stop; one that waits for a person stops here."""
    found = await read_for_update(session, answer_id)
    if found and found.answer.is_waiting:
        await _end(session, [AnswerEnd(answer_id, found.text, STOPPED, reasoning=found.reasoning)])
    elif found and found.answer.is_running:
        found.answer.stop_requested = True


async def read_for_update(session: AsyncSession, answer_id: int) -> AnswerProgress | None:
    """An answer that nobody else changes until the transaction ends."""
    await session.execute(select(col(Answer.id)).where(col(Answer.id) == answer_id).with_for_update())
    return (await _read(session, [answer_id])).get(answer_id)


async def read(database: Database, after: Mapping[int, int]) -> dict[int, AnswerProgress]:
    """Answers by their ids, with what came after the chunks that are named (-1 for all). Deleted ones are missing."""
    async with database.reader(fresh=True) as session:
        return await _read(session, after)


async def find_newest(database: Database, condition: ColumnElement[bool]) -> Answer | None:
    """The last of the answers of which this is true."""
    # Whoever lost a stream comes back to it later than a browser is known to have just written.
    async with database.reader(fresh=True) as session:
        query = select(Answer).where(condition).order_by(col(Answer.id).desc()).limit(1)
        return (await session.scalars(query)).one_or_none()


async def read_running(session: AsyncSession, condition: ColumnElement[bool]) -> Sequence[Answer]:
    """The answers that have not ended, of which this is true."""
    return (await session.scalars(select(Answer).where(col(Answer.status).in_(RUNNING), condition))).all()


async def take_over(
    session: AsyncSession,
    worker: str,
    dead: Collection[Answer],
    goes_on: Callable[[AnswerProgress], bool],
    otherwise: Outcome = INTERRUPTED,
) -> list[AnswerProgress]:
    """Make answers of dead processes this worker's where it goes on with them, and give these; end the others.

    So it does with those that have waited too long for a person. Of several that try, one has each. Where somebody
    asked to stop it, it has stopped.
    """
    id_, worker_, lease = col(Answer.id), col(Answer.worker), col(Answer.lease_until)
    seen = ((id_ == each.id) & (worker_ == each.worker) & (lease <= each.lease_until) for each in dead)
    free = select(id_).where(or_(*seen), col(Answer.status).in_(RUNNING))
    taken = (await session.scalars(free.with_for_update(skip_locked=True))).all()
    found = list((await _read(session, taken)).values())
    ours = [each for each in found if not each.answer.stop_requested and goes_on(each)]
    others = [each for each in found if each not in ours]
    for each in ours:
        begin(each.answer, worker)
        each.answer.takeovers += 1
    await session.flush()
    outcomes = [STOPPED if each.answer.stop_requested else otherwise for each in others]
    ends = [
        AnswerEnd(each.answer.id, each.text, how, reasoning=each.reasoning)
        for each, how in zip(others, outcomes, strict=True)
    ]
    await _end(session, ends)
    return ours


def begin(answer: Answer, worker: str) -> None:
    """Have this worker write an answer, which has not ended then."""
    values = {"status": AnswerStatus.STREAMING, "error_code": "", "error": "", "finished_at": None}
    answer.sqlmodel_update({**values, "worker": worker, "lease_until": utc_now() + LEASE_DURATION})


async def _hold(
    session: AsyncSession, worker: str, ids: Collection[int], *also: AnswerStatus
) -> dict[int, bool | None]:
    """Keep those that are this worker's from all others until the transaction ends; the result is as `save` tells."""
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
    """Still this worker's: also where it was taken for dead and nobody has gone on with it."""
    may_go_on = col(Answer.status).in_([AnswerStatus.STREAMING, INTERRUPTED.status])
    return _is_one_of(ids) & may_go_on & (col(Answer.worker) == worker)


def _is_one_of(ids: Collection[int]) -> ColumnElement[bool]:
    """`in_` would look at each of hundreds of numbers, to see whether it is SQL."""
    return col(Answer.id).in_(bindparam("ids", [*ids], expanding=True, unique=True))


async def _append(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    # Into the table, and not the model: what the session does for each row besides would be a third of the cost.
    table = AnswerChunk.__table__  # type: ignore[attr-defined]  # SQLModel's tables have it
    await session.execute(upsert(session, table).on_conflict_do_nothing(), rows)


async def _end(session: AsyncSession, ends: Sequence[AnswerEnd]) -> None:
    tells_hooks = has_hooks(Answer) and all(end.tells_hooks for end in ends)
    for step in _steps(ends):
        rows = [_row(end) for end in step]
        if tells_hooks:
            await _end_objects(session, rows)
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
    for name in (
        "prompt_tokens",
        "completion_tokens",
        "reasoning_tokens",
    ):  # a broken endpoint may tell anything, and in each round again
        row[name] = min(max(row[name], 0), MAX_TOLD_TOKENS)
    if end.tool_runs:
        row |= {"tool_runs": end.tool_runs, "sources": end.sources}
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
        return AnswerProgress(answer, answer.text, after, answer.reasoning)
    text = "".join(chunk.text for chunk in chunks)
    reasoning = "".join(chunk.reasoning for chunk in chunks)
    if after < 0:
        text, reasoning = answer.text + text, answer.reasoning + reasoning
    return AnswerProgress(answer, text, chunks[-1].seq if chunks else after, reasoning)
