"""Manages the answers that this process writes, and those of other processes that somebody follows here.

An answer belongs to the process and not to the request that asked: closing the page, a lost connection or a reload
never stop it. Its text is appended to the database while it grows, so that others see it and a crash loses little.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.chat import answer_store
from app.chat.answer_flusher import AnswerFlusher
from app.chat.answer_follower import AnswerFollower
from app.chat.answer_store import INTERRUPTED, STOPPED
from app.chat.answer_task import AnswerTask
from app.chat.live_answer import LiveAnswer
from app.chat.models import Message, Status
from app.chat.schemas import MAX_QUESTION_LENGTH
from opportune import llm
from opportune.db import Database, utc_now
from opportune.llm import LanguageModel

SHUTDOWN_TIMEOUT_SECONDS = 3.0
"""Seconds to store what there is when the process stops. What is not stored by then is ended by its lease."""


class AnswerManager:
    """Answers of a process: `start` one, `view` it from any number of requests, `stop` it; `close` at the end."""

    def __init__(self, database: Database, llm: LanguageModel) -> None:
        self.database = database
        self.llm = llm
        self.worker = secrets.token_hex(16)
        self._tasks: dict[int, AnswerTask] = {}
        self._flusher = AnswerFlusher(database, self.worker)
        self._followers = AnswerFollower(database)

    @property
    def max_question_length(self) -> int:
        """The most characters of plain English that the model reads at a time."""
        return min(MAX_QUESTION_LENGTH, 4 * self.llm.context_budget) if self.llm.provider else MAX_QUESTION_LENGTH

    def start(self, answer: Message, prompt: Sequence[llm.Message]) -> None:
        """Write an answer that has been committed as this worker's."""
        answer_task = self._tasks[answer.id] = AnswerTask(self._flusher, self.llm, answer, prompt)
        answer_task.start()
        answer_task.task.add_done_callback(lambda _: self._tasks.pop(answer.id, None))

    async def stop(self, message_id: int) -> None:
        """Stop an answer that is written here, and wait until that is stored."""
        if answer_task := self._tasks.get(message_id):
            answer_task.cut(STOPPED)
            await asyncio.wait([answer_task.task])

    async def close(self) -> None:
        """Store what there is of every answer, and send the viewers away."""
        answer_tasks = list(self._tasks.values())
        for answer_task in answer_tasks:
            answer_task.cut(INTERRUPTED)
        if answer_tasks:
            await asyncio.wait([answer_task.task for answer_task in answer_tasks], timeout=SHUTDOWN_TIMEOUT_SECONDS)
        for answer_task in answer_tasks:
            answer_task.live.leave()
        self._followers.leave()

    def is_dead(self, answer: Message) -> bool:
        """Whether the process that wrote this answer has gone. Ours is alive, however long it could not say so."""
        lease = answer.lease_until
        running = answer.status == Status.STREAMING and answer.id not in self._tasks
        return running and lease is not None and lease < utc_now()

    async def end_dead(self, conversation_id: int) -> None:
        """End the answers of a conversation whose processes have gone."""
        await answer_store.interrupt_expired(self.database, [conversation_id], alive=self._tasks.keys())

    async def text_so_far(self, answer: Message) -> str:
        if answer_task := self._tasks.get(answer.id):
            return answer_task.live.text
        progress = await answer_store.read(self.database, {answer.id: -1})
        return progress[answer.id].text if progress else ""

    @asynccontextmanager
    async def view(self, answer: Message) -> AsyncIterator[LiveAnswer]:
        """The answer as it grows, whichever process writes it."""
        if answer_task := self._tasks.get(answer.id):
            yield answer_task.live
        elif answer.status != Status.STREAMING:
            yield LiveAnswer(answer)
        else:
            async with self._followers.follow(answer) as live:
                yield live
