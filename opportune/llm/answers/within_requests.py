"""Answers where nothing runs between requests (JOBS=request): whoever looks at one keeps it going."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db import utc_now
from opportune.llm.answers import store
from opportune.llm.answers.live import LiveAnswer
from opportune.llm.answers.manager import MAX_TAKEOVERS, AnswerManager
from opportune.llm.answers.models import Answer, AnswerStatus
from opportune.llm.answers.store import HANDED_OVER, TRANSIENT_ERRORS, AnswerProgress, Outcome

RETURN_DURATION = timedelta(minutes=1)
"""For so long a page whose stream was cut may come back, and the answer goes on by itself."""
LEFT = Outcome(
    AnswerStatus.INTERRUPTED, "interrupted", "Nobody was looking any more, so this answer was not written to its end."
)


class RequestAnswerManager(AnswerManager):
    """Writes an answer as long as its stream is open here; then it is stored as far as it got.

    Whoever opens a stream within a minute, in any process, has it go on; later the page offers to continue it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._viewers = Counter[int]()

    def open(self, *, watch: bool = True) -> None:
        """Start nothing: a process that is frozen still holds its locks, and cannot watch. Leases tell who is alive."""
        del watch

    def is_dead(self, answer: Answer) -> bool:
        if answer.worker or answer.is_waiting or not answer.is_running or answer.id in self._tasks:
            return super().is_dead(answer)
        return bool(self._viewers[answer.id]) or _is_left(answer)

    async def take_over(self, answers: Iterable[Answer]) -> None:
        """Go on with what somebody looks at here; what nobody has come back to ends."""
        seen = [*answers]
        await super().take_over([answer for answer in seen if self._viewers[answer.id]])
        if left := [each for each in seen if not self._viewers[each.id] and self.is_dead(each) and _is_left(each)]:
            async with self.database.writer() as session:
                await store.take_over(session, self.worker, left, lambda _: False, LEFT)

    @asynccontextmanager
    async def view(self, answer: Answer) -> AsyncIterator[LiveAnswer]:
        self._viewers[answer.id] += 1
        try:
            if answer.is_running:
                with suppress(*TRANSIENT_ERRORS):  # who follows it tries again
                    await self.take_over([answer])
            async with super().view(answer) as live:
                yield live
        finally:
            self._viewers[answer.id] -= 1
            if not self._viewers[answer.id]:
                del self._viewers[answer.id]
                if answer_task := self._tasks.get(answer.id):
                    answer_task.cut(HANDED_OVER)

    def _goes_on(self, found: AnswerProgress) -> bool:
        """Somebody looks at it, and has asked for it: any model is told to go on, as by *Continue*."""
        answer = found.answer
        return bool(self._model(answer).provider and answer.prompt) and answer.takeovers < MAX_TAKEOVERS

    def _start_after_commit(self, session: AsyncSession, begun: AnswerProgress) -> None:
        del session
        begun.answer.worker = ""  # nobody's, until its stream is opened


def _is_left(answer: Answer) -> bool:
    return answer.lease_until is not None and answer.lease_until + RETURN_DURATION < utc_now()
