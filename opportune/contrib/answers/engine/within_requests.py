"""Answers on hosts without background work (JOBS=request): an answer grows while its stream is open."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.answers.engine import results, store
from opportune.contrib.answers.engine.engine import AnswerEngine, may_be_taken_over
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import HANDED_OVER, AnswerProgress, Outcome
from opportune.contrib.answers.engine.resources import AnswerResources
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.i18n import gettext_lazy as _l

RETURN_DURATION = timedelta(minutes=1)
"""Time for a page to reconnect, after which the answer is interrupted."""
ABANDONED = Outcome(
    AnswerStatus.INTERRUPTED,
    "interrupted",
    _l("The page was closed, so this answer is not complete. Continue it here."),
)


class RequestAnswerEngine(AnswerEngine):
    """Writes an answer while its stream is open, and stores the text when the stream is closed.

    A stream opened within a minute continues the answer in any process. Later, the page offers to continue it.
    An answer without an open stream has no worker. The base class treats it like one of a dead process.
    """

    def __init__(self, resources: AnswerResources) -> None:
        super().__init__(resources)
        self._viewers = Counter[int]()  # open streams in this process, by answer id

    def open(self, *, watch: bool = True) -> None:
        """Do nothing: a frozen process still holds its lock and cannot watch others. Only leases are used."""
        del watch

    def start(self, session: AsyncSession, progress: AnswerProgress) -> None:
        """Leave the answer without a worker until its stream is opened."""
        del session
        progress.answer.worker = ""

    @asynccontextmanager
    async def view(self, answer: Answer) -> AsyncIterator[LiveAnswer]:
        viewers = self._viewers
        viewers[answer.id] += 1
        try:
            if answer.is_running:
                with suppress(*store.TRANSIENT_ERRORS):  # the follower tries again
                    await self.take_over([answer])
            async with super().view(answer) as live:
                yield live
        finally:
            viewers[answer.id] -= 1
            if not viewers[answer.id]:
                del viewers[answer.id]
                self.cut(answer.id, HANDED_OVER)  # the next stream continues it in any process

    def is_dead(self, answer: Answer, now: datetime) -> bool:
        """Return True also for an answer without a worker, if it is viewed here or its page does not return."""
        has_no_worker = answer.status == AnswerStatus.STREAMING and not answer.worker
        if not has_no_worker or answer.id in self.tasks:
            return super().is_dead(answer, now)
        return self._is_viewed(answer) or _has_no_page(answer, now)

    async def take_over(self, answers: Iterable[Answer]) -> None:
        """Continue answers that are viewed here, and end abandoned ones."""
        answers = [*answers]
        await super().take_over([answer for answer in answers if self._is_viewed(answer)])
        closed = [answer for answer in answers if not self._is_viewed(answer)]
        if abandoned := await self.find_expired(closed, self._is_abandoned):
            async with self.database.writer() as session:
                await results.take_over_answers(session, self.worker, abandoned, outcome=ABANDONED)

    def can_continue(self, progress: AnswerProgress) -> bool:
        """Return True for any model, because the viewer wants the answer to continue."""
        has_provider = self.resources.model_of(progress.answer).provider is not None
        return has_provider and may_be_taken_over(progress.answer)

    def _is_viewed(self, answer: Answer) -> bool:
        return self._viewers[answer.id] > 0

    def _is_abandoned(self, answer: Answer, now: datetime) -> bool:
        return self.is_dead(answer, now) and _has_no_page(answer, now)


def _has_no_page(answer: Answer, now: datetime) -> bool:
    return answer.lease_until is not None and answer.lease_until + RETURN_DURATION < now
