"""Engine of answers: the ones that this process writes, and the ones of other processes that are viewed here.

An answer belongs to the process, not to the request. It continues after the page is closed or the connection is lost.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.engine import results, store
from opportune.contrib.answers.engine.flusher import AnswerFlusher
from opportune.contrib.answers.engine.follower import AnswerFollower
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import HANDED_OVER, UNREAD, AnswerProgress, Outcome
from opportune.contrib.answers.engine.resources import AnswerResources
from opportune.contrib.answers.engine.task import AnswerTask
from opportune.contrib.answers.engine.tool_jobs import end_lost_jobs
from opportune.contrib.answers.engine.tool_runs import text_after_last_call
from opportune.contrib.answers.models import WAITS_FOR_JOB, Answer, AnswerStatus
from opportune.db import after_commit
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import read_database_time
from opportune.jobs.worker_lock import WorkerLock
from opportune.services.tasks import cancel_and_wait

SHUTDOWN_TIMEOUT_SECONDS = 1.5
"""Time to store running answers when the process stops. Other processes continue the rest after their leases expire."""
VIEWERS_TIMEOUT_SECONDS = 2.0
"""Time until open streams are closed when the process stops."""
MAX_TAKEOVERS = 20
"""Maximum number of takeovers per answer, because an answer may crash each process that continues it."""
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
"""Time at which every lease has expired."""


class AnswerEngine:
    """Writes and shows answers in one process, from `open` to `close`, and continues those of dead processes.

    Attributes:
        worker: Id of this process.
        tasks: Tasks of the answers that this process writes, by answer id.
        lock: Tells other processes of this machine that this one is alive.
        followers: Answers of other processes that are viewed here.
    """

    def __init__(self, resources: AnswerResources) -> None:
        self.resources = resources
        self.database = resources.database
        self.worker = secrets.token_hex(16)
        self.tasks: dict[int, AnswerTask] = {}
        self.lock = WorkerLock(str(self.database.url.sync_url), self.worker)
        self.followers = AnswerFollower(self.database, self.take_over)
        self._flusher = AnswerFlusher(self.database, self.worker)
        self._is_watching = False
        self._is_closed = False

    def open(self, *, watch: bool = True) -> None:
        """Register this process as alive. With `watch`, take over answers of dead processes."""
        self.lock.acquire()
        self._is_watching = watch
        if watch:
            self.followers.start_watching(self.worker)

    def start(self, session: AsyncSession, progress: AnswerProgress) -> None:
        """Write an answer after the commit of the session."""
        after_commit(session, partial(self.write, progress))

    async def write(self, progress: AnswerProgress) -> None:
        """Write an answer that is assigned to this process, or continue it."""
        answer_task = self.tasks[progress.answer.id] = AnswerTask(self._flusher, self.resources, progress)
        answer_task.start()
        answer_task.task.add_done_callback(lambda _: self._forget(answer_task))

    def _forget(self, answer_task: AnswerTask) -> None:
        live = answer_task.live
        if self.tasks.get(live.id) is answer_task:  # another task may continue the answer
            del self.tasks[live.id]
        if self._is_watching and live.answer.worker == WAITS_FOR_JOB and not self._is_closed:
            self.followers.start_watching(self.worker)

    def cut(self, answer_id: int, outcome: Outcome) -> asyncio.Task[None] | None:
        """End an answer that this process writes, and return its task, which ends when the result is stored."""
        if answer_task := self.tasks.get(answer_id):
            answer_task.cut(outcome)
        return answer_task.task if answer_task else None

    async def refresh(self, answers: Iterable[Answer]) -> None:
        """Update answers that were running when they were read."""
        rows = {answer.id: answer for answer in answers if answer.is_running}
        with suppress(*store.TRANSIENT_ERRORS):
            await self.take_over(rows.values())
        if elsewhere := rows.keys() - self.tasks.keys():
            stored = await store.read_progress(self.database, dict.fromkeys(elsewhere, UNREAD))
            for answer_id, progress in stored.items():
                progress.copy_to(rows[answer_id])
        for answer_id in rows.keys() & self.tasks.keys():
            self.tasks[answer_id].live.copy_to(rows[answer_id])

    def view(self, answer: Answer) -> AbstractAsyncContextManager[LiveAnswer]:
        """Return a context manager with the growing answer, written by any process."""
        if answer_task := self.tasks.get(answer.id):
            return answer_task.live  # a closure would keep the row in memory for each viewer
        if not answer.is_running:
            return LiveAnswer(AnswerProgress.from_answer(answer))
        return self.followers.follow(answer)

    def is_dead(self, answer: Answer, now: datetime) -> bool:
        """Return True if the process that wrote this answer is dead. This process is alive even without a lease."""
        if not answer.is_running or answer.id in self.tasks:
            return False
        if answer.worker not in ("", WAITS_FOR_JOB, self.worker):
            is_dead = self.lock.is_dead(answer.worker)
            if is_dead is not None:  # None for processes of other machines
                return is_dead
        return answer.lease_until is not None and answer.lease_until < now

    async def take_over(self, answers: Iterable[Answer]) -> None:
        """Continue the answers of dead processes. End an answer as interrupted if its model cannot continue it."""
        if self._is_closed:
            return
        answers = [*answers]
        if await end_lost_jobs(self.database, answers):
            await self.continue_released()
        for batch in batches_of(await self.find_expired(answers, self.is_dead), store.MAX_ANSWERS_PER_QUERY):
            async with self.database.writer() as session:
                continued = await results.take_over_answers(session, self.worker, batch, self.can_continue)
            for progress in continued:
                await self.write(progress)

    async def continue_released(self) -> None:
        """Continue answers that have the results of their jobs."""
        with suppress(*store.TRANSIENT_ERRORS):
            async with self.database.reader(fresh=True) as session:
                is_released = (col(Answer.worker) == "") & (col(Answer.status) == AnswerStatus.STREAMING)
                released = await store.read_running_answers(session, is_released)
            await self.take_over(released)

    async def find_expired(
        self, answers: Iterable[Answer], has_expired: Callable[[Answer, datetime], bool]
    ) -> list[Answer]:
        """Return the expired answers. The time of the database is read only if it decides about some of them."""
        suspects = [answer for answer in answers if has_expired(answer, END_OF_TIME)]
        if not suspects or self.database.url.readonly_notice:  # a read-only site shows them as they are
            return []
        async with self.database.reader(fresh=True) as session:
            now = await read_database_time(session)
        return [answer for answer in suspects if has_expired(answer, now)]

    def can_continue(self, progress: AnswerProgress) -> bool:
        """Return True if the model can continue the text, and the answer has not reached `MAX_TAKEOVERS`."""
        provider = self.resources.model_of(progress.answer).provider
        if not (provider and may_be_taken_over(progress.answer)):
            return False
        return provider.continues or not text_after_last_call(progress.answer.tool_runs, progress.text)

    async def close(self, grace_seconds: float = 0) -> None:
        """Wait for answers to end, then hand over the others and close all streams."""
        await cancel_and_wait(self.followers.watch_task)
        asyncio.get_running_loop().call_later(min(grace_seconds, VIEWERS_TIMEOUT_SECONDS), self._close_streams)
        await self._wait(grace_seconds)
        self._is_closed = True
        for answer_task in self.tasks.values():
            answer_task.cut(HANDED_OVER)
        await self._wait(SHUTDOWN_TIMEOUT_SECONDS)
        self._close_streams()
        await self.followers.close()
        self.lock.release()

    async def _wait(self, seconds: float) -> None:
        """Wait until all answers are stored, at most this long."""
        if self.tasks:
            await asyncio.wait([answer_task.task for answer_task in self.tasks.values()], timeout=seconds)

    def _close_streams(self) -> None:
        for answer_task in self.tasks.values():
            answer_task.live.close()
        self.followers.close_streams()


def may_be_taken_over(answer: Answer) -> bool:
    return bool(answer.prompt) and answer.takeovers < MAX_TAKEOVERS
