"""Stored and growing answers, found, shown and stopped."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from sqlmodel import col

from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.engine import AnswerEngine
from opportune.contrib.answers.engine.live import LiveAnswer, ShownAnswer
from opportune.contrib.answers.engine.records import STOPPED
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import LanguageModel
from opportune.contrib.tools import Toolbox
from opportune.db import Database
from opportune.storage import Storage


@dataclass(frozen=True)
class StoredAnswers:
    """Answers of the site.

    Attributes:
        engine: Writes and shows answers in this process.
    """

    engine: AnswerEngine

    @property
    def database(self) -> Database:
        return self.engine.resources.database

    @property
    def llm(self) -> LanguageModel:
        return self.engine.resources.llm

    @property
    def storage(self) -> Storage:
        """Storage of attached pictures."""
        assert self.engine.resources.storage
        return self.engine.resources.storage

    @property
    def toolbox(self) -> Toolbox | None:
        """Tools that models may call."""
        make_toolbox = self.engine.resources.make_toolbox
        return make_toolbox() if make_toolbox else None

    async def find(self, answer_id: int, owner_id: int) -> Answer | None:
        """Return an answer of the user, or None."""
        return await store.find_newest_answer(
            self.database, (col(Answer.id) == answer_id) & (col(Answer.owner_id) == owner_id)
        )

    async def newest(self, topic: str, owner_id: int | None) -> ShownAnswer | None:
        """Return the user's newest answer on a topic, for `show_answer` of `macros/answer.html`."""
        answer = await store.find_newest_answer(
            self.database, (col(Answer.topic) == topic) & (col(Answer.owner_id) == owner_id)
        )
        return await self.shown(answer) if answer else None

    async def shown(self, answer: Answer) -> ShownAnswer:
        """Return the answer for a template, with its current text."""
        await self.refresh([answer])
        return await ShownAnswer.of(answer)

    async def refresh(self, answers: Iterable[Answer]) -> None:
        """Update answers that were running when they were read."""
        await self.engine.refresh(answers)

    def view(self, answer: Answer) -> AbstractAsyncContextManager[LiveAnswer]:
        """Return a context manager with the growing answer, written by any process."""
        return self.engine.view(answer)

    async def stop(self, answer: Answer) -> None:
        """Stop an answer in any process. If this process writes it, wait until the end is stored."""
        async with self.database.writer() as session:
            await store.stop_answer(session, answer.id)
        if task := self.engine.running.cut(answer.id, STOPPED):
            await asyncio.wait([task])
