"""Saves all answers of a process in one transaction, while they grow and when they end.

Viewers see only committed text, so that a crash never removes text they have read. A transaction per answer would cost
more than all other work.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from opportune.contrib.answers.engine import results, store
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import NOT_STORED, STOPPED, AnswerDelta, AnswerResult, Claim, Outcome
from opportune.contrib.answers.models import Answer
from opportune.db import Database
from opportune.db.queries.batches import batches_of

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.25
"""Maximum seconds between two saves while text arrives. A crash loses at most the text of this time."""
VIEWED_FLUSH_INTERVAL_SECONDS = 0.1
"""Seconds between two saves while an answer is viewed in this process, unless saves are slow."""
MAX_SAVING_SHARE = 0.05
"""Maximum share of the time spent on saves. Slower saves happen less often."""
LEASE_RENEWAL_SECONDS = 1.0
"""Seconds between renewals of leases and checks for stop requests, also while models are silent."""
MAX_ANSWERS_PER_TRANSACTION = 500
"""Maximum number of answers per transaction, because other writers wait for it on SQLite."""
NOTIFIED_ANSWERS_PER_ITERATION = 8
"""Answers whose viewers are notified in one event loop iteration, so that other requests are served in between."""

SAVE_TIMEOUT_SECONDS = 600.0
"""Seconds without a successful save after which an answer fails. Until then its text is kept in memory."""


class UnsavedAnswer:
    """Text of a running answer that is not confirmed to be committed."""

    def __init__(self, live: LiveAnswer, cut: Callable[[Outcome], None]) -> None:
        self.live = live
        self.cut = cut
        # Delta that is being saved or failed to be saved. Empty between saves.
        self._saving = AnswerDelta(live.id, live.progress.last_seq + 1, "")
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._saved_at = monotonic()

    @property
    def text(self) -> str:
        """The complete text of the answer, committed or not."""
        return "".join([self.live.text, self._saving.text, *self._text])

    @property
    def reasoning(self) -> str:
        """The complete reasoning, committed or not."""
        return "".join([self.live.reasoning, self._saving.reasoning, *self._reasoning])

    @property
    def has_new_text(self) -> bool:
        """True if text has arrived since the start of the last save."""
        return bool(self._text)

    def add(self, text: str, reasoning: str = "") -> None:
        self._text.append(text)
        self._reasoning.append(reasoning)

    def next_delta(self) -> AnswerDelta:
        """Return the delta to save next."""
        # Repeat a failed save unchanged. Possibly the chunk is stored and only the database's response was lost.
        if self._saving.is_empty:
            self._saving = self._new_delta(self._saving.seq)
            self._text = []
            self._reasoning = []
        return self._saving

    def uncommitted_deltas(self) -> Sequence[AnswerDelta]:
        """Return the delta that is being saved or failed to be saved, and the newer text."""
        delta = self.next_delta()
        return delta, self._new_delta(delta.seq + 1)

    def _new_delta(self, seq: int) -> AnswerDelta:
        return AnswerDelta(self.live.id, seq, "".join(self._text), "".join(self._reasoning))

    def confirm_save(self, claim: Claim) -> None:
        """Show the saved delta to viewers, and cut the answer if the worker may not continue it."""
        if claim != Claim.LOST:
            saved = self._saving
            next_seq = saved.seq if saved.is_empty else saved.seq + 1
            self._saving = AnswerDelta(self.live.id, next_seq, "")
            self.live.add(saved.text, saved.reasoning)
            self._saved_at = monotonic()
        if claim != Claim.OWNED:
            self.cut(STOPPED)

    def fail_if_overdue(self) -> None:
        """Cut the answer if it could not be saved for too long."""
        if monotonic() - self._saved_at > SAVE_TIMEOUT_SECONDS:
            self.cut(NOT_STORED)


D = TypeVar("D", AnswerDelta, AnswerResult)
R = TypeVar("R")


class AnswerFlusher:
    """Saves growing answers in a background task, which runs only while answers grow."""

    def __init__(self, database: Database, worker: str) -> None:
        self.database = database
        self.worker = worker
        self._growing: dict[int, UnsavedAnswer] = {}
        self._results: dict[int, tuple[AnswerResult, asyncio.Future[Answer | None]]] = {}
        self._wake_up = asyncio.Event()
        self._save_due_at: float | None = None
        """Time of the next save (monotonic); None if no text is unsaved."""
        self._saved_at = 0.0
        self._save_seconds = 0.0
        self._renewed_at = 0.0
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def saving(self, unsaved: UnsavedAnswer) -> Iterator[None]:
        """Save this answer while it grows. Cut it if a user stops it, or if saves fail for too long."""
        self._growing[unsaved.live.id] = unsaved
        self._ensure_task()
        try:
            yield
        finally:
            del self._growing[unsaved.live.id]

    def plan_save(self) -> None:
        """Plan a save of new text. It runs immediately if the last save was long enough ago."""
        if self._save_due_at is None:
            self._save_due_at = self._saved_at + self._interval()
            self._wake_up.set()

    def _interval(self) -> float:
        if not any(unsaved.live.viewers for unsaved in self._growing.values()):
            return FLUSH_INTERVAL_SECONDS
        return min(FLUSH_INTERVAL_SECONDS, max(VIEWED_FLUSH_INTERVAL_SECONDS, self._save_seconds / MAX_SAVING_SHARE))

    async def save_tool_runs(
        self, answer_id: int, runs: Sequence[Mapping[str, Any]], sources: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Store tool calls. Return False if the database fails or this worker does not own the answer."""
        with suppress(SQLAlchemyError, TimeoutError):
            return await store.save_tool_runs(self.database, self.worker, answer_id, runs, sources)
        return False

    async def finish(self, result: AnswerResult) -> Answer | None:
        """Store the result of an answer, and return the stored answer; None if this worker does not own it.

        Raises:
            SQLAlchemyError: The database failed.
            TimeoutError: Another transaction has locked the answer.
        """
        stored_answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._results[result.answer_id] = result, stored_answer
        self._wake_up.set()
        self._ensure_task()
        return await stored_answer

    def _ensure_task(self) -> None:
        if self._task is None or self._task.done():
            self._renewed_at = monotonic()
            self._task = asyncio.create_task(self._flush(), name="flush answers")

    async def _flush(self) -> None:
        """Run until all answers have ended. Store results immediately, because requests that stop an answer wait."""
        while self._growing or self._results:
            renewal = self._renewed_at + LEASE_RENEWAL_SECONDS
            save_at = renewal if self._save_due_at is None else min(renewal, self._save_due_at)
            with suppress(TimeoutError):
                async with asyncio.timeout(save_at - monotonic()):
                    await self._wake_up.wait()
            self._wake_up.clear()
            await self._store_results()
            if monotonic() >= save_at:
                await self._save()

    async def _save(self) -> None:
        self._save_due_at = None
        self._saved_at = monotonic()
        renew = self._saved_at - self._renewed_at >= LEASE_RENEWAL_SECONDS
        if renew:
            self._renewed_at = self._saved_at
        growing = dict(self._growing)
        deltas = [unsaved.next_delta() for unsaved in growing.values()]
        save = partial(store.save_deltas, self.database, self.worker, renew=renew)
        claims = await _write(save, [delta for delta in deltas if renew or not delta.is_empty])
        self._save_seconds = monotonic() - self._saved_at
        for number, (answer_id, claim) in enumerate(claims.items(), 1):
            if isinstance(claim, Exception):
                growing[answer_id].fail_if_overdue()
                self._save_due_at = self._saved_at + FLUSH_INTERVAL_SECONDS
                continue
            growing[answer_id].confirm_save(claim)
            if growing[answer_id].has_new_text:
                self.plan_save()
            if number % NOTIFIED_ANSWERS_PER_ITERATION == 0:
                await asyncio.sleep(0)

    async def _store_results(self) -> None:
        pending = self._results
        self._results = {}
        finish = partial(results.finish_answers, self.database, self.worker)
        stored_answers = await _write(finish, [result for result, _ in pending.values()])
        for answer_id, stored in stored_answers.items():
            _, future = pending[answer_id]
            if future.done():  # cancelled by the caller
                continue
            if isinstance(stored, Exception):
                future.set_exception(stored)
            else:
                future.set_result(stored)
            await asyncio.sleep(0)  # serve other requests while hundreds of answers end


async def _write(
    write: Callable[[Sequence[D]], Awaitable[Mapping[int, R]]], records: Sequence[D]
) -> dict[int, R | Exception]:
    """Write records in batches, and return the result or exception of each answer."""
    outcomes: dict[int, R | Exception] = {
        record.answer_id: TimeoutError("another transaction has locked it") for record in records
    }
    for batch in batches_of(records, MAX_ANSWERS_PER_TRANSACTION):
        outcomes |= await _write_bisecting(write, batch)
    return outcomes


async def _write_bisecting(
    write: Callable[[Sequence[D]], Awaitable[Mapping[int, R]]], records: Sequence[D]
) -> Mapping[int, R | Exception]:
    """Write records in one transaction. If it fails, write each half, so that one record cannot block the others."""
    try:
        return await write(records)
    except Exception as fault:  # noqa: BLE001 - save the other answers, whatever the error
        if len(records) == 1 or store.can_recover(fault):  # after an outage, the halves would fail too
            logger.warning("answers %s: not saved (%s)", [record.answer_id for record in records], type(fault).__name__)
            return dict.fromkeys((record.answer_id for record in records), fault)
    middle = len(records) // 2
    return {**await _write_bisecting(write, records[:middle]), **await _write_bisecting(write, records[middle:])}
