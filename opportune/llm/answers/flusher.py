"""Saves all answers of a process in one transaction, while they grow and when they end.

Viewers see only committed text, so a crash never takes back text. One transaction per answer would be most of its cost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from opportune.db import Database, is_outage
from opportune.llm.answers import store
from opportune.llm.answers.live import LiveAnswer
from opportune.llm.answers.models import Answer
from opportune.llm.answers.store import NOT_STORED, STOPPED, AnswerDelta, AnswerEnd, Outcome

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.25
"""Longest time between two saves while text comes. A crash loses no more text than this."""
VIEWED_FLUSH_INTERVAL_SECONDS = 0.1
"""Time between two saves while any answer is viewed here, unless saving takes long."""
MAX_SAVING_SHARE = 0.25
"""Share of the time that saves may take before viewers wait longer for them."""
LEASE_RENEWAL_SECONDS = 1.0
"""Seconds between renewals of leases and checks for stop requests, also while models are silent."""
SAVE_TIMEOUT_SECONDS = 600.0
"""Seconds without a successful save after which an answer fails. Until then its text is kept in memory."""
MAX_ANSWERS_PER_TRANSACTION = 500
"""Maximum number of answers per transaction, because other writers wait for it on SQLite."""
SHOWN_PER_ITERATION = 8
"""Answers whose viewers get new text in one event loop iteration. Other requests are served in between."""

D = TypeVar("D", AnswerDelta, AnswerEnd)
R = TypeVar("R")


class UnsavedAnswer:
    """The text that a model has written and that is not known to be committed yet."""

    def __init__(self, live: LiveAnswer, cut: Callable[[Outcome], None]) -> None:
        self.live = live
        self.cut = cut
        self._saving = AnswerDelta(live.id, live.progress.last_seq + 1, "")
        self._text, self._reasoning = list[str](), list[str]()
        self._saved_at = monotonic()

    @property
    def text(self) -> str:
        """The whole text of the answer, committed or not."""
        return "".join([self.live.text, self._saving.text, *self._text])

    @property
    def reasoning(self) -> str:
        """The whole reasoning, committed or not."""
        return "".join([self.live.reasoning, self._saving.reasoning, *self._reasoning])

    @property
    def has_new_text(self) -> bool:
        """True if text has arrived since the start of the last save."""
        return bool(self._text)

    def add(self, text: str, reasoning: str = "") -> None:
        self._text.append(text)
        self._reasoning.append(reasoning)

    def delta(self) -> AnswerDelta:
        """Return what to save next."""
        # A failed save is repeated unchanged: the chunk may be stored, and only the response was lost.
        if self._saving.is_empty:
            self._saving = self._new_delta(self._saving.seq)
            self._text, self._reasoning = [], []
        return self._saving

    def rest(self) -> Sequence[AnswerDelta]:
        """Return all that is not known to be committed. A save of the first part may have failed or still run."""
        first = self.delta()
        return first, self._new_delta(first.seq + 1)

    def _new_delta(self, seq: int) -> AnswerDelta:
        return AnswerDelta(self.live.id, seq, "".join(self._text), "".join(self._reasoning))

    def note_saved(self, stop: bool | None) -> None:
        if stop is not None:
            saved = self._saving
            self._saving = AnswerDelta(self.live.id, saved.seq + (not saved.is_empty), "")
            self.live.add(saved.text, saved.reasoning)
            self._saved_at = monotonic()
        if stop is not False:  # a user stopped the answer, or another worker owns it now
            self.cut(STOPPED)

    def note_failure(self) -> None:
        if monotonic() - self._saved_at > SAVE_TIMEOUT_SECONDS:
            self.cut(NOT_STORED)


class AnswerFlusher:
    """Saves growing answers in a background task, which runs only while there are any."""

    def __init__(self, database: Database, worker: str) -> None:
        self.database = database
        self.worker = worker
        self._growing: dict[int, UnsavedAnswer] = {}
        self._ends: dict[int, tuple[AnswerEnd, asyncio.Future[Answer | None]]] = {}
        self._woken = asyncio.Event()
        self._due: float | None = None
        """When to save next; None if nothing is unsaved."""
        self._saved_at = 0.0
        self._save_seconds = 0.0
        self._renewed = 0.0
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def saving(self, unsaved: UnsavedAnswer) -> Iterator[None]:
        """Save this answer while it grows. Cut it if a user stops it, or if it cannot be saved for long."""
        self._growing[unsaved.live.id] = unsaved
        self._ensure_task()
        try:
            yield
        finally:
            del self._growing[unsaved.live.id]

    def plan_save(self) -> None:
        """Plan a save of new text: immediately if the last save is long enough ago."""
        if self._due is None:
            self._due = self._saved_at + self._interval()
            self._woken.set()

    def _interval(self) -> float:
        if not any(unsaved.live.viewers for unsaved in self._growing.values()):
            return FLUSH_INTERVAL_SECONDS
        return min(FLUSH_INTERVAL_SECONDS, max(VIEWED_FLUSH_INTERVAL_SECONDS, self._save_seconds / MAX_SAVING_SHARE))

    async def note_tool_runs(
        self, answer_id: int, runs: Sequence[Mapping[str, Any]], sources: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Store tool calls. Return False if that failed."""
        with suppress(SQLAlchemyError, TimeoutError):
            return await store.note_tool_runs(self.database, self.worker, answer_id, runs, sources)
        return False

    async def finish(self, end: AnswerEnd) -> Answer | None:
        """Store the end of an answer, and return the stored answer; None if it has been deleted.

        Raises:
            SQLAlchemyError: The database failed.
            TimeoutError: Another transaction has locked the answer.
        """
        stored: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._ends[end.answer_id] = end, stored
        self._woken.set()
        self._ensure_task()
        return await stored

    def _ensure_task(self) -> None:
        if self._task is None or self._task.done():
            self._renewed = monotonic()
            self._task = asyncio.create_task(self._flush(), name="flush answers")

    async def _flush(self) -> None:
        """Run until all answers have ended. Ends are stored immediately, because stopping an answer waits for it."""
        while self._growing or self._ends:
            renewal = self._renewed + LEASE_RENEWAL_SECONDS
            save_at = renewal if self._due is None else min(renewal, self._due)
            with suppress(TimeoutError):
                async with asyncio.timeout(save_at - monotonic()):
                    await self._woken.wait()
            self._woken.clear()
            await self._store_ends()
            if monotonic() >= save_at:
                await self._save()

    async def _save(self) -> None:
        self._due, self._saved_at = None, monotonic()
        renew = self._saved_at - self._renewed >= LEASE_RENEWAL_SECONDS
        if renew:
            self._renewed = self._saved_at
        growing = {
            answer_id: unsaved for answer_id, unsaved in self._growing.items() if renew or not unsaved.delta().is_empty
        }
        save = partial(store.save, self.database, self.worker, renew=renew)
        results = await _write(save, [unsaved.delta() for unsaved in growing.values()])
        self._save_seconds = monotonic() - self._saved_at
        for number, (answer_id, stop) in enumerate(results.items(), 1):
            if isinstance(stop, Exception):
                growing[answer_id].note_failure()
                self._due = self._saved_at + FLUSH_INTERVAL_SECONDS
                continue
            growing[answer_id].note_saved(stop)
            if growing[answer_id].has_new_text:
                self.plan_save()
            if number % SHOWN_PER_ITERATION == 0:
                await asyncio.sleep(0)

    async def _store_ends(self) -> None:
        waiting, self._ends = self._ends, {}
        finish = partial(store.finish, self.database, self.worker)
        for answer_id, stored in (await _write(finish, [end for end, _ in waiting.values()])).items():
            _, future = waiting[answer_id]
            if future.done():  # cancelled by the caller
                continue
            if isinstance(stored, Exception):
                future.set_exception(stored)
            else:
                future.set_result(stored)
            await asyncio.sleep(0)  # serve other requests between the pages of hundreds of ended answers


async def _write(
    write: Callable[[Sequence[D]], Awaitable[Mapping[int, R]]], records: Sequence[D]
) -> dict[int, R | Exception]:
    """Write records in batches, and return the result or exception of each answer."""
    results: dict[int, R | Exception] = {
        record.answer_id: TimeoutError("another transaction has locked it") for record in records
    }
    for start in range(0, len(records), MAX_ANSWERS_PER_TRANSACTION):
        results |= await _isolated(write, records[start : start + MAX_ANSWERS_PER_TRANSACTION])
    return results


async def _isolated(
    write: Callable[[Sequence[D]], Awaitable[Mapping[int, R]]], records: Sequence[D]
) -> Mapping[int, R | Exception]:
    """Write records in one transaction. If it fails, bisect them, so that one record cannot block the others."""
    try:
        return await write(records)
    except Exception as fault:  # noqa: BLE001 - save the other answers, whatever the error
        if len(records) == 1 or isinstance(fault, TimeoutError) or is_outage(fault):
            logger.warning("answers %s: not saved (%s)", [record.answer_id for record in records], type(fault).__name__)
            return dict.fromkeys((record.answer_id for record in records), fault)
    middle = len(records) // 2
    return {**await _isolated(write, records[:middle]), **await _isolated(write, records[middle:])}
