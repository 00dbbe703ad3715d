"""Follows the answers that other processes write, for those who look at them here."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from time import monotonic

from opportune.db import Database
from opportune.llm.answers import store
from opportune.llm.answers.live import LiveAnswer
from opportune.llm.answers.models import Answer
from opportune.llm.answers.store import MAX_ANSWERS_PER_QUERY, TRANSIENT_ERRORS, AnswerProgress
from opportune.runtime.tasks import cancel_and_wait

logger = logging.getLogger(__name__)

POLL_INTERVAL_SECONDS = 0.25
"""Seconds between two looks at the database, however many answers and viewers there are."""
WAITING_POLL_INTERVAL_SECONDS = 1.0
"""The same where all of them wait for a person."""
RETRY_DELAY_SECONDS = 1.0
"""Seconds before another look at a database that did not answer."""


class FollowedAnswer:
    """An answer that another process writes, with its viewers here."""

    def __init__(self, answer: Answer) -> None:
        self.live = LiveAnswer(AnswerProgress(answer))
        self.last_seq = -1
        self.is_new = True

    def note(self, progress: AnswerProgress) -> None:
        self.is_new = False
        if progress.answer.is_running:
            self.live.answer = progress.answer
            self.last_seq = progress.last_seq
            self.live.note_tool_runs(progress.answer.tool_runs)
            self.live.add(progress.text, progress.reasoning)
        else:
            self.live.end(progress.answer)


class AnswerFollower:
    """Reads the chunks of answers as they are stored, as long as somebody looks: one query for all of them."""

    def __init__(self, database: Database, take_over: Callable[[Sequence[Answer]], Awaitable[None]]) -> None:
        """`take_over` is told of all that is seen, and goes on with those whose process is dead."""
        self.database = database
        self.take_over = take_over
        self._followed: dict[int, FollowedAnswer] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def follow(self, answer: Answer) -> AsyncIterator[LiveAnswer]:
        followed = self._followed.setdefault(answer.id, FollowedAnswer(answer))
        del answer  # or each viewer would keep a row of its own
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll(), name="follow answers")
        try:
            async with followed.live as live:
                yield live
        finally:
            if not live.viewers and self._followed.get(live.id) is followed:  # others may have begun anew
                self._forget(live.id)

    def leave(self) -> None:
        """Send the viewers away, since the process stops: they find the rest at another one."""
        for answer_id in list(self._followed):
            self._forget(answer_id)

    async def close(self) -> None:
        self.leave()
        await cancel_and_wait(self._task)

    def _forget(self, answer_id: int) -> None:
        if followed := self._followed.pop(answer_id, None):
            followed.live.leave()
            self._woken.set()

    async def _poll(self) -> None:
        """While anything is followed. What has just been opened does not wait for the next time."""
        due = monotonic()
        while self._followed:
            with suppress(TimeoutError):
                async with asyncio.timeout(due - monotonic()):
                    await self._woken.wait()
            self._woken.clear()
            is_due = monotonic() >= due
            if is_due:
                due = monotonic() + self._interval()
            wanted = {
                answer_id: each
                for answer_id, each in self._followed.items()
                if not each.live.ended and (is_due or each.is_new)
            }
            try:
                for start in range(0, len(wanted), MAX_ANSWERS_PER_QUERY):
                    await self._look(dict(islice(wanted.items(), start, start + MAX_ANSWERS_PER_QUERY)))
            except TRANSIENT_ERRORS as fault:
                logger.warning("answers %s: cannot be followed (%s)", list(wanted), type(fault).__name__)
                await asyncio.sleep(RETRY_DELAY_SECONDS)

    def _interval(self) -> float:
        all_wait = all(each.live.answer.is_waiting for each in self._followed.values())
        return WAITING_POLL_INTERVAL_SECONDS if all_wait else POLL_INTERVAL_SECONDS

    async def _look(self, followed: Mapping[int, FollowedAnswer]) -> None:
        progress = await store.read(self.database, {each: one.last_seq for each, one in followed.items()})
        for answer_id in followed.keys() - progress.keys():
            self._forget(answer_id)
        for answer_id, found in progress.items():
            followed[answer_id].note(found)
        await self.take_over([found.answer for found in progress.values()])
