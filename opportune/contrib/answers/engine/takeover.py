"""Takeover of answers whose process is dead."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from sqlmodel import col

from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.records import AnswerProgress
from opportune.contrib.answers.engine.running import RunningAnswers
from opportune.contrib.answers.engine.tool_jobs import end_lost_jobs
from opportune.contrib.answers.engine.tool_runs import text_after_last_call
from opportune.contrib.answers.models import WAITS_FOR_JOB, Answer, AnswerStatus
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import read_database_time
from opportune.jobs.worker_lock import WorkerLock

MAX_TAKEOVERS = 20
"""Maximum number of takeovers per answer, because an answer may crash each process that continues it."""
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
"""Time at which every lease has expired."""


class Takeover:
    """Detects answers of dead processes, and continues them in this process."""

    def __init__(self, running: RunningAnswers) -> None:
        self.running = running
        self.database = running.resources.database
        self.lock = WorkerLock(str(self.database.url.sync_url), running.worker)
        """Tells other processes of this machine that this one is alive."""
        self.is_closed = False

    def is_dead(self, answer: Answer, now: datetime) -> bool:
        """Return True if the process that wrote this answer is dead. This process is alive even without a lease."""
        if not answer.is_running or answer.id in self.running.tasks:
            return False
        if answer.worker not in ("", WAITS_FOR_JOB, self.running.worker):
            is_dead = self.lock.is_dead(answer.worker)
            if is_dead is not None:  # None for processes of other machines
                return is_dead
        return answer.lease_until is not None and answer.lease_until < now

    async def take_over(self, answers: Iterable[Answer]) -> None:
        """Continue the answers of dead processes. End an answer as interrupted if its model cannot continue it."""
        if self.is_closed:
            return
        answers = [*answers]
        if await end_lost_jobs(self.database, answers):
            await self.continue_released()
        dead = await self.find_expired(answers, self.is_dead)
        for batch in batches_of(dead, store.MAX_ANSWERS_PER_QUERY):
            async with self.database.writer() as session:
                continued = await store.take_over_answers(session, self.running.worker, batch, self.can_continue)
            for progress in continued:
                self.running.start(progress)

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
        if not suspects:
            return []
        async with self.database.reader(fresh=True) as session:
            now = await read_database_time(session)
        return [answer for answer in suspects if has_expired(answer, now)]

    def can_continue(self, progress: AnswerProgress) -> bool:
        """Return True if the model can continue the text, and the answer has not reached `MAX_TAKEOVERS`."""
        provider = self.running.resources.model_of(progress.answer).provider
        if not (provider and may_be_taken_over(progress.answer)):
            return False
        return provider.continues or not text_after_last_call(progress.answer.tool_runs, progress.text)


def may_be_taken_over(answer: Answer) -> bool:
    return bool(answer.prompt) and answer.takeovers < MAX_TAKEOVERS
