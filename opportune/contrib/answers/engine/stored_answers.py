"""Stored and growing answers, found, shown and stopped."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, false
from sqlmodel import col

from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.engine import AnswerEngine
from opportune.contrib.answers.engine.live import LiveAnswer, ShownAnswer
from opportune.contrib.answers.engine.records import STOPPED
from opportune.contrib.answers.models import MAX_TOPIC_LENGTH, Answer
from opportune.contrib.llm import LanguageModel
from opportune.contrib.tools import Toolbox
from opportune.db import Database
from opportune.errors import OperatorError
from opportune.storage import Storage


@dataclass(frozen=True)
class StoredAnswers:
    """Answers of the site.

    Attributes:
        engine: Writes and shows answers in this process.
        browser: Key of the browser of a visitor, who sees only the answers of this browser. Empty in other code, for
            which all answers without an owner are the same.
    """

    engine: AnswerEngine
    browser: str = ""

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

    async def find(self, answer_id: int, owner_id: int | None) -> Answer | None:
        """Return an answer of the user or of the visitor's browser, or None."""
        is_own = col(Answer.owner_id) == owner_id
        if owner_id is None:
            is_own &= col(Answer.topic).endswith(f":{self.browser}") if self.browser else false()
        return await store.find_newest_answer(self.database, (col(Answer.id) == answer_id) & is_own)

    def stored_topic(self, topic: str, owner_id: int | None) -> str:
        """Return the topic as it is stored. Those of a visitor end in the key of the browser."""
        stored = f"{topic}:{self.browser}" if self.browser and owner_id is None else topic
        if len(stored) > MAX_TOPIC_LENGTH:
            raise OperatorError(f"The topic {topic[:40]}… of an answer is too long for {MAX_TOPIC_LENGTH} characters.")
        return stored

    def is_on_topic(self, topic: str, owner_id: int | None) -> ColumnElement[bool]:
        """Condition for answers of the user or the visitor's browser on a topic."""
        return (col(Answer.topic) == self.stored_topic(topic, owner_id)) & (col(Answer.owner_id) == owner_id)

    async def newest(self, topic: str, owner_id: int | None) -> ShownAnswer | None:
        """Return the newest answer of the user or the visitor's browser, for `show_answer` of `macros/answer.html`."""
        answer = await store.find_newest_answer(self.database, self.is_on_topic(topic, owner_id))
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
