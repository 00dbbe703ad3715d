"""Follower of answers that other processes write, for viewers in this process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic

from sqlmodel import col

from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import UNREAD, AnswerProgress
from opportune.contrib.answers.models import WAITS_FOR_JOB, Answer, AnswerStatus
from opportune.db import Database
from opportune.db.queries.batches import batches_of
from opportune.services.tasks import cancel_and_wait

logger = logging.getLogger(__name__)

POLL_INTERVAL_SECONDS = 0.25
"""Seconds between two queries for all answers and viewers."""
WAITING_POLL_INTERVAL_SECONDS = 1.0
"""Seconds between two queries if all answers wait for an approval."""
WATCH_INTERVAL_SECONDS = 1.0
"""Seconds between checks of the answers of other processes, until none is running."""
RETRY_DELAY_SECONDS = 1.0
"""Seconds before another query after a database error."""


class FollowedAnswer(LiveAnswer):
    """An answer of another process with its viewers in this process."""

    last_seq = UNREAD
    is_new = True
    """True until the first read, for which a viewer does not wait until the next poll."""

    def update(self, progress: AnswerProgress) -> None:
        self.is_new = False
        if progress.answer.is_running:
            self.last_seq = progress.last_seq
            self.update_answer(progress.answer)
            self.add(progress.text, progress.reasoning)
        else:
            self.finish(progress.answer)


class AnswerFollower:
    """Polls the chunks of all viewed answers with one query."""

    def __init__(self, database: Database, take_over: Callable[[Sequence[Answer]], Awaitable[None]]) -> None:
        """`take_over` is called with all polled answers to continue the ones of dead processes."""
        self.database = database
        self.take_over = take_over
        self._followed: dict[int, FollowedAnswer] = {}
        self._wake_up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.watch_task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def follow(self, answer: Answer) -> AsyncIterator[LiveAnswer]:
        followed = self._followed.get(answer.id)
        if followed is None or followed.ended:  # a viewer may still read the end of an answer that was resumed
            followed = self._followed[answer.id] = FollowedAnswer(AnswerProgress(answer))
        del answer  # or each viewer would keep a row in memory
        self._wake_up.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll(), name="follow answers")
        try:
            async with followed:
                yield followed
        finally:
            if not followed.viewers and self._followed.get(followed.id) is followed:  # it may have been replaced
                self._forget(followed.id)

    def close_streams(self) -> None:
        """End all streams. Clients reconnect to another process."""
        for answer_id in list(self._followed):
            self._forget(answer_id)

    def start_watching(self, worker: str) -> None:
        """Run `watch` in a task, unless it runs."""
        if self.watch_task is None or self.watch_task.done():
            self.watch_task = asyncio.create_task(self.watch(worker), name="watch answers")

    async def watch(self, worker: str) -> None:
        """Take over the answers of dead processes, until no process other than this worker writes one.

        If other processes cannot notify this one, also wait for the jobs of answers.
        """
        is_elsewhere = (col(Answer.worker) != worker) & (col(Answer.status) == AnswerStatus.STREAMING)
        if not self.database.bus.is_shared:
            is_elsewhere |= col(Answer.worker) == WAITS_FOR_JOB
        reported = ""
        while True:
            try:
                async with self.database.reader(fresh=True) as session:
                    running = await store.read_running_answers(session, is_elsewhere)
                if not running:
                    return
                await self.take_over(running)
                reported = ""
            except store.TRANSIENT_ERRORS as fault:
                if reported != type(fault).__name__:  # once per outage, not once per second
                    reported = type(fault).__name__
                    logger.warning("answers of other processes cannot be watched (%s)", reported)
            await asyncio.sleep(WATCH_INTERVAL_SECONDS)

    async def close(self) -> None:
        self.close_streams()
        await cancel_and_wait(self._task, self.watch_task)

    def _forget(self, answer_id: int) -> None:
        if followed := self._followed.pop(answer_id, None):
            followed.close()
            self._wake_up.set()

    async def _poll(self) -> None:
        """Poll while answers are followed. Read a newly followed answer immediately."""
        poll_at = monotonic()
        while self._followed:
            with suppress(TimeoutError):
                async with asyncio.timeout(poll_at - monotonic()):
                    await self._wake_up.wait()
            self._wake_up.clear()
            growing = [followed for followed in self._followed.values() if not followed.ended]
            if monotonic() < poll_at:
                await self._read([followed for followed in growing if followed.is_new])
            else:
                all_wait = all(followed.answer.is_waiting for followed in self._followed.values())
                poll_at = monotonic() + (WAITING_POLL_INTERVAL_SECONDS if all_wait else POLL_INTERVAL_SECONDS)
                await self._read(growing)

    async def _read(self, followed_answers: Sequence[FollowedAnswer]) -> None:
        try:
            for batch in batches_of(followed_answers, store.MAX_ANSWERS_PER_QUERY):
                await self._read_batch({followed.id: followed for followed in batch})
        except store.TRANSIENT_ERRORS as fault:
            ids = [followed.id for followed in followed_answers]
            logger.warning("answers %s: cannot be polled (%s)", ids, type(fault).__name__)
            await asyncio.sleep(RETRY_DELAY_SECONDS)

    async def _read_batch(self, batch: Mapping[int, FollowedAnswer]) -> None:
        last_seqs = {answer_id: followed.last_seq for answer_id, followed in batch.items()}
        progress = await store.read_progress(self.database, last_seqs)
        for answer_id in batch.keys() - progress.keys():  # deleted
            self._forget(answer_id)
        for answer_id, answer_progress in progress.items():
            batch[answer_id].update(answer_progress)
        await self.take_over([answer_progress.answer for answer_progress in progress.values()])
