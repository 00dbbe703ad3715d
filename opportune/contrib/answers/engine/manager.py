"""Stored and growing answers of a user, visitor or API token: questions, decisions, and the answers to show."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Self

from pydantic import BaseModel
from sqlalchemy import ColumnElement, false
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.tokens.scopes import ALL_SCOPES, get_common_scopes
from opportune.contrib.answers.engine import results, store
from opportune.contrib.answers.engine.capacity import AnswerRunning, require_capacity
from opportune.contrib.answers.engine.decisions import CallDecision, decide
from opportune.contrib.answers.engine.engine import AnswerEngine
from opportune.contrib.answers.engine.live import LiveAnswer
from opportune.contrib.answers.engine.records import STOPPED, AnswerProgress
from opportune.contrib.answers.engine.resources import AnswerLimits
from opportune.contrib.answers.engine.shown import ShownAnswer
from opportune.contrib.answers.engine.tool_runs import ALLOWED, ALWAYS, REFUSED, is_waiting
from opportune.contrib.answers.models import ALL_TOOLS, MAX_TOPIC_LENGTH, OF_VISITOR, Answer, as_prompt
from opportune.contrib.llm import LanguageModel, estimate_tokens
from opportune.contrib.llm.attachments import MAX_OMITTED_LENGTH, Attachment, attach, require_sight
from opportune.contrib.llm.call_guard import Payer
from opportune.contrib.llm.completion.request import Prompt
from opportune.contrib.tools import Toolbox
from opportune.db import Database
from opportune.db.constraint_errors import flush_or_refuse
from opportune.db.queries.dialects import read_database_time
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.storage import Storage

logger = logging.getLogger(__name__)

QUESTION_FIELDS = {"owner_id", "topic", "question", "prompt", "omitted"}
MODEL_FIELDS = {"model", "temperature", "limits", "tool_scopes", "tool_names"}
_reported_names = set[str]()
"""Tools that answers have requested, and the site does not have."""


@dataclass(frozen=True)
class AnswerManager:
    """Answers of the site: `ask` a question, then show, stop, retry or continue the answer in later requests.

    Attributes:
        engine: Writes and shows answers in this process.
        browser: Key of the browser of a visitor, who sees only the answers of this browser. Empty in other code, for
            which all answers without an owner are the same.
        scopes: Scopes of the tools that models may call (separated by spaces).
        visitor: Visitor who is charged instead of the owner.

    Example:
        @router.post("/books/{id}/ask")
        async def ask(
            request: Request, id: RowId, user: CurrentUser, session: WriteSession, answers: Answers
        ) -> Response:
            answer = await answers.ask(session, "What is this book about?", owner_id=user.id, topic=f"books:{id}")
            return redirect(request, f"/answers/{answer.id}")
    """

    engine: AnswerEngine
    browser: str = ""
    scopes: str = ALL_SCOPES
    visitor: Payer | None = None

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

    def within(self, scopes: str) -> Self:
        """Return a manager whose questions use only tools allowed by these scopes (separated by spaces)."""
        return replace(self, scopes=get_common_scopes(self.scopes, scopes))

    async def allowance(self, owner_id: int | None = None) -> str:
        """Return a notice for the form if a limit is reached or nearly reached; else an empty string."""
        if not self.llm.guard:
            return ""
        payer = self.visitor or Payer.of_user(owner_id)
        async with self.database.reader(fresh=True) as session:
            return await self.llm.guard.allowance(session, payer, self.llm.model)

    async def ask(  # noqa: PLR0913 - keyword arguments
        self,
        session: AsyncSession,
        prompt: Prompt,
        *,
        system: str = "",
        owner_id: int | None = None,
        topic: str = "",
        question: str = "",
        model: str = "",
        tools: bool | Collection[str] = False,
        temperature: float | None = None,
        attachments: Sequence[Attachment] = (),
        omitted: str = "",
        limits: AnswerLimits | None = None,
    ) -> Answer:
        """Store and return a new, empty answer. It is generated after the commit of the session.

        Args:
            session: A `WriteSession`.
            prompt: A question, or a conversation that ends with one.
            system: System message before the conversation.
            owner_id: User who may see the answer at `/answers/{id}`. None for an answer to a visitor, which only the
                same browser finds, or outside of requests for one that your code shows to all.
            topic: Name by which the feature finds the answer, such as `books:12`. Only one may run per user and topic.
            question: Text shown above the answer. By default the prompt, if it is a text.
            model: Name of a model in LLM_MODELS. By default the first one.
            tools: Allow tools of the site, all or these names, with the permissions of the owner and the scopes of an
                API token. The owner approves changing calls; without an owner, tools that need an approval are not
                available.
            temperature: 0 for the most likely answer, up to 2.
            attachments: Files added to the last message, as far as they fit into the model's context.
            omitted: Note for the user about other content that the prompt lacks.
            limits: Limits of steps, seconds and cost that differ from the settings.

        Raises:
            AnswerRunning: An answer on the topic is running (409).
            TooManyAnswers: The user has too many running answers (429).
            SpendingRefused: A limit is reached (429), or answers are switched off (503).
            AttachmentRefused: The model cannot see attached pictures (422).
        """
        language_model = self.llm.using(model)
        if not isinstance(tools, bool):
            self._report_missing(tools)
        messages = language_model.visitor_messages(prompt, system)
        if attachments:
            require_sight(attachments, language_model.name, sees_images=language_model.sees_images)
            remaining = language_model.context_budget - sum(map(estimate_tokens, messages))
            messages[-1], unfit = attach(messages[-1], attachments, remaining)
            omitted = f"{omitted} {unfit}".strip()
        if not question and isinstance(prompt, str):
            question = prompt
        answer = Answer(
            owner_id=owner_id,
            topic=self.stored_topic(topic, owner_id),
            question=question,
            prompt=as_prompt(messages),
            model=language_model.name,
            tool_scopes=self.scopes if tools else "",
            tool_names=[ALL_TOOLS] if isinstance(tools, bool) else [*tools],
            temperature=temperature,
            omitted=omitted[:MAX_OMITTED_LENGTH],
            limits=limits.stored() if limits else {},
        )
        return await self._start_answer(session, answer)

    async def find(self, answer_id: int, owner_id: int | None) -> Answer | None:
        """Return an answer of the user or of the visitor's browser, or None."""
        is_own = col(Answer.owner_id) == owner_id
        if owner_id is None:
            is_own &= col(Answer.topic).endswith(f"{OF_VISITOR}{self.browser}") if self.browser else false()
        return await store.find_newest_answer(self.database, (col(Answer.id) == answer_id) & is_own)

    def stored_topic(self, topic: str, owner_id: int | None) -> str:
        """Return the topic as it is stored. Those of a visitor end in the key of the browser."""
        stored = f"{topic}{OF_VISITOR}{self.browser}" if self.browser and owner_id is None else topic
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
            await results.stop_answer(session, answer.id)
        if task := self.engine.cut(answer.id, STOPPED):
            await asyncio.wait([task])

    def _report_missing(self, tools: Collection[str]) -> None:
        """Log each name once, because the answer does without a missing tool."""
        known = self.toolbox.tools.keys() if self.toolbox else frozenset[str]()
        for name in {tool.partition(":")[0] for tool in tools} - known - {ALL_TOOLS} - _reported_names:
            _reported_names.add(name)
            logger.warning("There is no tool %s for answers.%s", name, did_you_mean(name, known))

    async def retry(self, session: AsyncSession, answer: Answer) -> Answer:
        """Ask the question of an incomplete answer again. The old answer is kept. Raises the errors of `ask`."""
        if not answer.can_continue:
            return answer
        question = answer.model_dump(include=QUESTION_FIELDS | MODEL_FIELDS)
        return await self._start_answer(session, Answer(**question))

    async def resume(self, session: AsyncSession, answer: Answer) -> Answer:
        """Continue an incomplete answer after the commit of the session. Raises the errors of `ask`."""
        row = await session.get_one(Answer, answer.id, with_for_update=True)
        if not row.can_continue:
            return row
        row.seconds = 0  # the user grants the time again
        return await self._start_answer(session, row)

    async def approve(self, session: AsyncSession, answer: Answer, call: int, *, rest: bool = False) -> Answer:
        """Allow a waiting tool call by its index in `tool_runs`, or with `rest` also later calls of the same tool.

        It runs once after the commit, with the user's permissions at that time. The answer continues when no call
        waits. Earlier decisions do not change.

        Raises:
            UnknownCall: There is no such call (404).
            ToolNotAllowed: The client lacks a scope of the tool (403).
            TooManyAnswers: The user has too many running answers (429).
        """
        return await self._decide(session, answer, CallDecision(call, ALWAYS if rest else ALLOWED))

    async def refuse(self, session: AsyncSession, answer: Answer, call: int) -> Answer:
        """Refuse a waiting tool call by its index in `tool_runs`. The model continues without its result."""
        return await self._decide(session, answer, CallDecision(call, REFUSED))

    async def reply(self, session: AsyncSession, answer: Answer, call: int, reply: BaseModel) -> Answer:
        """Answer a question of the model with a filled-in form. The first reply counts."""
        return await self._decide(session, answer, CallDecision(call, ALLOWED, reply.model_dump_json()))

    async def _decide(self, session: AsyncSession, answer: Answer, decision: CallDecision) -> Answer:
        progress = await store.read_progress_for_update(session, answer.id)
        if progress is None:
            return answer
        row = progress.answer
        now = await read_database_time(session)
        if not decide(row, decision, now=now, scopes=self.scopes, toolbox=self.toolbox):
            return row
        if not any(map(is_waiting, row.tool_runs)):
            await require_capacity(session, row, self.engine, now)
            store.assign_worker(row, self.engine.worker, now)
            self.engine.start(session, progress)
        await session.flush()
        return row

    async def _start_answer(self, session: AsyncSession, answer: Answer) -> Answer:
        now = await read_database_time(session)
        await require_capacity(session, answer, self.engine, now)
        answer.tool_scopes = get_common_scopes(answer.tool_scopes, self.scopes)
        answer.charged_to = str(self.visitor or "")
        model = self.engine.resources.model_of(answer)
        if model.guard:
            await model.guard.check(session, answer.payer, model.model, sum(map(estimate_tokens, answer.messages)))
        store.assign_worker(answer, self.engine.worker, now)
        session.add(answer)
        await flush_or_refuse(session, AnswerRunning())  # another request may have started one after the check
        self.engine.start(session, AnswerProgress.from_answer(answer))
        return answer
