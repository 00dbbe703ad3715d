"""Saves the answers that a process writes, while they grow and when they end: all of them in one transaction.

A transaction for each, four times a second, was most of what an answer cost.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from opportune.answers import store
from opportune.answers.live import LiveAnswer
from opportune.answers.models import Answer
from opportune.answers.store import NOT_STORED, STOPPED, AnswerDelta, AnswerEnd, Outcome
from opportune.db import Database, is_outage

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.25
"""Seconds; a crash loses no more text than this."""
LEASE_RENEWAL_SECONDS = 1.0
"""Seconds between renewals of the leases, and looks for requests to stop, also while the models are silent."""
SAVE_TIMEOUT_SECONDS = 600.0
"""Seconds without a successful save after which an answer fails: so long it is kept in memory."""
MAX_ANSWERS_PER_TRANSACTION = 500
"""Answers in one transaction, at most: other writers wait for it on SQLite."""

D = TypeVar("D", AnswerDelta, AnswerEnd)
R = TypeVar("R")


class UnsavedAnswer:
    """An answer that is being written, and how much of it has been saved."""

    def __init__(self, live: LiveAnswer, cut: Callable[[Outcome], None]) -> None:
        self.live = live
        self.cut = cut
        self._seq = live.begun.last_seq + 1
        self._saved = len(live.begun.text)
        self._saved_reasoning = len(live.begun.reasoning)
        self._unsaved = AnswerDelta(live.id, self._seq, "")
        self._saved_at = monotonic()

    def delta(self) -> AnswerDelta:
        # A failed save is repeated unchanged: the chunk may be stored, and only the response was lost.
        if self._unsaved.is_empty:
            text, reasoning = self.live.text[self._saved :], self.live.reasoning[self._saved_reasoning :]
            self._unsaved = AnswerDelta(self.live.id, self._seq, text, reasoning)
        return self._unsaved

    def note_saved(self, stop: bool | None) -> None:
        self._seq += not self._unsaved.is_empty
        self._saved += len(self._unsaved.text)
        self._saved_reasoning += len(self._unsaved.reasoning)
        self._unsaved = AnswerDelta(self.live.id, self._seq, "")
        self._saved_at = monotonic()
        if stop is not False:  # somebody asked to, or the answer is gone
            self.cut(STOPPED)

    def note_failure(self) -> None:
        if monotonic() - self._saved_at > SAVE_TIMEOUT_SECONDS:
            self.cut(NOT_STORED)


class AnswerFlusher:
    """Saves growing answers: one task while anything is being written, and none while nothing is."""

    def __init__(self, database: Database, worker: str) -> None:
        self.database = database
        self.worker = worker
        self._growing: dict[int, UnsavedAnswer] = {}
        self._ends: dict[int, tuple[AnswerEnd, asyncio.Future[Answer | None]]] = {}
        self._woken = asyncio.Event()
        self._renewed = 0.0
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def saving(self, live: LiveAnswer, cut: Callable[[Outcome], None]) -> Iterator[UnsavedAnswer]:
        """Save this answer as it grows. It is cut where somebody has asked to, or where it cannot be saved any more."""
        unsaved = self._growing[live.id] = UnsavedAnswer(live, cut)
        self._see_to_it()
        try:
            yield unsaved
        finally:
            del self._growing[live.id]

    async def note_tool_runs(self, live: LiveAnswer) -> bool:
        """Store what the model has called. False where that cannot be: viewers here see it all the same."""
        with suppress(SQLAlchemyError, TimeoutError):
            return await store.note_tool_runs(self.database, self.worker, live.answer, live.tool_runs)
        return False

    async def finish(self, end: AnswerEnd) -> Answer | None:
        """Store how an answer ended, and give back what is now stored: None if it has been deleted.

        Raises what the database does, and TimeoutError while somebody else's transaction holds the answer.
        """
        stored: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._ends[end.answer_id] = end, stored
        self._woken.set()
        self._see_to_it()
        return await stored

    def _see_to_it(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush(), name="flush answers")

    async def _flush(self) -> None:
        """Until there is nothing left. What has ended does not wait for the next time: whoever stopped it does."""
        due = monotonic() + FLUSH_INTERVAL_SECONDS
        while self._growing or self._ends:
            with suppress(TimeoutError):
                async with asyncio.timeout(due - monotonic()):
                    await self._woken.wait()
            self._woken.clear()
            await self._store_ends()
            if monotonic() >= due:
                due = monotonic() + FLUSH_INTERVAL_SECONDS
                await self._save()

    async def _save(self) -> None:
        renew = monotonic() - self._renewed >= LEASE_RENEWAL_SECONDS
        if renew:
            self._renewed = monotonic()
        growing = {answer_id: each for answer_id, each in self._growing.items() if renew or not each.delta().is_empty}
        save = partial(store.save, self.database, self.worker, renew=renew)
        for answer_id, stop in (await _write(save, [each.delta() for each in growing.values()])).items():
            if isinstance(stop, Exception):
                growing[answer_id].note_failure()
            else:
                growing[answer_id].note_saved(stop)

    async def _store_ends(self) -> None:
        waiting, self._ends = self._ends, {}
        finish = partial(store.finish, self.database, self.worker)
        for answer_id, stored in (await _write(finish, [end for end, _ in waiting.values()])).items():
            _, future = waiting[answer_id]
            if future.done():  # nobody waits any more
                continue
            if isinstance(stored, Exception):
                future.set_exception(stored)
            else:
                future.set_result(stored)
            await asyncio.sleep(0)  # hundreds that end at once have their pages rendered between others' requests


async def _write(
    write: Callable[[Sequence[D]], Awaitable[Mapping[int, R]]], records: Sequence[D]
) -> dict[int, R | Exception]:
    """What came of each, by answer: the result or the fault."""
    results: dict[int, R | Exception] = {
        record.answer_id: TimeoutError("another transaction has it") for record in records
    }
    for start in range(0, len(records), MAX_ANSWERS_PER_TRANSACTION):
        results |= await _isolated(write, records[start : start + MAX_ANSWERS_PER_TRANSACTION])
    return results


async def _isolated(
    write: Callable[[Sequence[D]], Awaitable[Mapping[int, R]]], records: Sequence[D]
) -> Mapping[int, R | Exception]:
    """All in one transaction. Where one of them makes that fail, halves of halves, until the others are written."""
    try:
        return await write(records)
    except Exception as fault:  # noqa: BLE001 - the edge: whatever happens to one answer, the others are saved
        if len(records) == 1 or isinstance(fault, TimeoutError) or is_outage(fault):
            logger.warning("answers %s: not saved (%s)", [record.answer_id for record in records], type(fault).__name__)
            return dict.fromkeys((record.answer_id for record in records), fault)
    middle = len(records) // 2
    return {**await _isolated(write, records[:middle]), **await _isolated(write, records[middle:])}
