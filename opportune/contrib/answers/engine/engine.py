"""Engine of answers: the ones that this process writes, and the ones of other processes that are viewed here.

An answer belongs to the process, not to the request. It continues after the page is closed or the connection is lost.
Its text is appended to the database while it grows. Viewers see only committed text, so that a crash never removes text
they have read.
"""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, suppress

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.follower import AnswerFollower
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import HANDED_OVER, AnswerProgress
from opportune.contrib.answers.engine.running import AnswerResources, RunningAnswers
from opportune.contrib.answers.engine.takeover import Takeover
from opportune.contrib.answers.models import WAITS_FOR_JOB, Answer
from opportune.db import after_commit
from opportune.services.tasks import cancel_and_wait

SHUTDOWN_TIMEOUT_SECONDS = 1.5
"""Time to store running answers when the process stops. Other processes continue the rest after their leases expire."""
VIEWERS_TIMEOUT_SECONDS = 2.0
"""Time until open streams are closed when the process stops."""


class AnswerEngine:
    """Writes and shows answers in one process, from `open` to `close`."""

    def __init__(self, resources: AnswerResources, takeover_class: type[Takeover] = Takeover) -> None:
        self.resources = resources
        self.running = RunningAnswers(resources)
        self.takeover = takeover_class(self.running)
        self.followers = AnswerFollower(resources.database, self.takeover.take_over)

    @property
    def worker(self) -> str:
        """Id of this process."""
        return self.running.worker

    def open(self, *, watch: bool = True) -> None:
        """Register this process as alive. With `watch`, take over answers of dead processes."""
        self.takeover.lock.acquire()
        if watch:
            self.running.on_end = self._watch_job
            self.followers.start_watching(self.worker)

    def _watch_job(self, answer: Answer) -> None:
        if answer.worker == WAITS_FOR_JOB and not self.takeover.is_closed:
            self.followers.start_watching(self.worker)

    def start(self, session: AsyncSession, progress: AnswerProgress) -> None:
        """Write an answer after the commit of the session."""

        async def start() -> None:
            self.running.start(progress)

        after_commit(session, start)

    async def refresh(self, answers: Iterable[Answer]) -> None:
        """Update answers that were running when they were read."""
        rows = {answer.id: answer for answer in answers if answer.is_running}
        with suppress(*store.TRANSIENT_ERRORS):
            await self.takeover.take_over(rows.values())
        elsewhere = rows.keys() - self.running.tasks.keys()
        if elsewhere:
            stored = await store.read_progress(self.resources.database, dict.fromkeys(elsewhere, -1))
            for answer_id, progress in stored.items():
                progress.copy_to(rows[answer_id])
        for answer_id in rows.keys() & self.running.tasks.keys():
            self.running.tasks[answer_id].live.copy_to(rows[answer_id])

    def view(self, answer: Answer) -> AbstractAsyncContextManager[LiveAnswer]:
        """Return a context manager with the growing answer, written by any process."""
        if answer_task := self.running.tasks.get(answer.id):
            return answer_task.live  # a closure would keep the row in memory for each viewer
        if not answer.is_running:
            return LiveAnswer(AnswerProgress.from_answer(answer))
        return self.followers.follow(answer)

    async def close(self, grace_seconds: float = 0) -> None:
        """Wait for answers to end, then hand over the others and close all streams."""
        await cancel_and_wait(self.followers.watch_task)
        asyncio.get_running_loop().call_later(min(grace_seconds, VIEWERS_TIMEOUT_SECONDS), self._close_streams)
        await self.running.wait(grace_seconds)
        self.takeover.is_closed = True
        for answer_task in self.running.tasks.values():
            answer_task.cut(HANDED_OVER)
        await self.running.wait(SHUTDOWN_TIMEOUT_SECONDS)
        self._close_streams()
        await self.followers.close()
        self.takeover.lock.release()

    def _close_streams(self) -> None:
        self.running.close_streams()
        self.followers.close_streams()
