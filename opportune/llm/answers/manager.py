"""Manages the answers that this process writes, and those of other processes that somebody follows here.

An answer belongs to the process and not to the request that asked: closing the page, a lost connection or a reload
never stop it. Its text is appended to the database while it grows. Viewers see only what is committed, so nothing that
they have read is missing after a crash.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from copy import copy
from typing import Self

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.tokens.scopes import ALL_SCOPES, common_scopes
from opportune.db.database import Database, after_commit
from opportune.db.models.model import utc_now
from opportune.jobs.worker_lock import WorkerLock
from opportune.llm.answers import store
from opportune.llm.answers.errors import AnswerRunning, ToolNotAllowed, TooManyAnswers, UnknownCall
from opportune.llm.answers.flusher import AnswerFlusher
from opportune.llm.answers.follower import AnswerFollower
from opportune.llm.answers.live import LiveAnswer
from opportune.llm.answers.models import Answer, AnswerStatus, as_prompt
from opportune.llm.answers.shown import ShownAnswer
from opportune.llm.answers.store import HANDED_OVER, MAX_ANSWERS_PER_QUERY, STOPPED, TRANSIENT_ERRORS, AnswerProgress
from opportune.llm.answers.task import AnswerTask
from opportune.llm.answers.tool_runs import ALLOWED, ALWAYS, REFUSED, decided, is_waiting, said_since
from opportune.llm.documents.attachment import MAX_OMITTED_LENGTH, Attachment, attach, require_sight
from opportune.llm.language_model import LanguageModel, Prompt, messages_of
from opportune.llm.providers.provider import LLMError, estimate_tokens
from opportune.llm.spending.call_guard import Payer
from opportune.llm.tools import Toolbox
from opportune.runtime.tasks import cancel_and_wait
from opportune.storage import Storage

logger = logging.getLogger(__name__)

MAX_RUNNING_ANSWERS = 3
"""Answers that one person may have written at the same time."""
SHUTDOWN_TIMEOUT_SECONDS = 1.5
"""Seconds to store what there is when the process stops. What is not stored by then is found by its lease."""
VIEWERS_TIMEOUT_SECONDS = 2.0
"""Seconds that viewers may stay in a process that stops: the server waits no longer for them."""
WATCH_INTERVAL_SECONDS = 1.0
"""Seconds between looks at the answers of other processes, from the start on as long as there are any."""
MAX_TAKEOVERS = 20
"""Processes that go on with one answer, at most: it may be what ends them."""
ASKED = {"owner_id", "topic", "question", "prompt", "model", "tool_scopes", "temperature", "omitted"}
"""What is the same where something is asked once more."""


class AnswerManager:
    """Answers of a process: `ask` for one, show it in any number of requests, stop it; `close` at the end."""

    def __init__(
        self,
        database: Database,
        llm: LanguageModel,
        make_toolbox: Callable[[], Toolbox] | None = None,
        storage: Storage | None = None,
        make_retrieval: Callable[[], Toolbox] | None = None,
    ) -> None:
        """`make_toolbox` is asked for what models may call when an answer first uses tools; `storage` has pictures.

        `make_retrieval`: for what is asked before a model that calls no tools.
        """
        self.database = database
        self.llm = llm
        self._make_toolbox, self._make_retrieval = make_toolbox, make_retrieval
        self._storage = storage
        self._scopes = ALL_SCOPES
        self._charged_to = ""
        self.worker = secrets.token_hex(16)
        self._tasks: dict[int, AnswerTask] = {}
        self._flusher = AnswerFlusher(database, self.worker)
        self._followers = AnswerFollower(database, self.take_over)
        self._lock = WorkerLock(str(database.url.sync_url), self.worker)
        self._watching: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def storage(self) -> Storage:
        """Where files that are shown to models are kept."""
        assert self._storage
        return self._storage

    def within(self, scopes: str) -> Self:
        """The same answers for a program: what it asks uses the tools that these scopes, with spaces, are good for."""
        narrower = copy(self)  # with the same tasks
        narrower._scopes = common_scopes(self._scopes, scopes)
        return narrower

    def asked_by(self, visitor: Payer) -> Self:
        """The same answers for a visitor: what is asked counts for their address, and not for the owner's account."""
        theirs = copy(self)
        theirs._charged_to = str(visitor)
        return theirs

    def open(self, *, watch: bool = True) -> None:
        """Tell other processes that this one lives, and look for answers whose process is dead if `watch` says so."""
        self._lock.hold()
        if watch:
            self._watching = asyncio.create_task(self._watch(), name="watch answers")

    async def ask(  # noqa: PLR0913 - each is a word of its own
        self,
        session: AsyncSession,
        prompt: Prompt,
        *,
        system: str = "",
        owner_id: int | None = None,
        topic: str = "",
        question: str = "",
        model: str = "",
        tools: bool = False,
        temperature: float | None = None,
        attachments: Sequence[Attachment] = (),
        omitted: str = "",
    ) -> Answer:
        """Store an answer that is still empty; it is written from the commit of this writing session on.

        `owner_id` is whose it is: nobody else sees it at its own addresses. `topic` is what the feature finds it by
        (`books:12`); a person has one running answer on it. `question` is shown above the answer: the prompt, where
        that is a text. `model` is a name of LLM_MODELS. With `tools` it may call those of the site with the rights
        of the owner, who is asked before something is changed (where there is none, those that ask nobody); for a
        program, those that the scopes of its token are good for. `temperature` is 0 for the likeliest, up to 2.
        `attachments` go with the last message, as far as the model reads so much; `omitted` tells the person what else
        the prompt lacks.

        Raises:
            AnswerRunning, TooManyAnswers, SpendingRefused: answered 409 and 429; nothing may be committed.
            AttachmentRefused: there is a picture, and the model cannot see; answered 422.
        """
        asked, messages = self.llm.using(model), messages_of(prompt, system)
        if attachments:
            require_sight(attachments, asked.name, sees_images=asked.sees_images)
            left = asked.context_budget - sum(map(estimate_tokens, messages))
            messages[-1], unfit = attach(messages[-1], attachments, left)
            omitted = f"{omitted} {unfit}".strip()
        answer = Answer(
            owner_id=owner_id,
            topic=topic,
            question=question or (prompt if isinstance(prompt, str) else ""),
            prompt=as_prompt(messages),
            model=asked.name,
            tool_scopes=self._scopes if tools else "",
            temperature=temperature,
            omitted=omitted[:MAX_OMITTED_LENGTH],
        )
        return await self._begin(session, answer)

    async def retry(self, session: AsyncSession, answer: Answer) -> Answer:
        """Ask the same once more, where the answer is not whole; it is kept.

        Raises:
            AnswerRunning, TooManyAnswers, SpendingRefused: as `ask`.
        """
        if not answer.can_go_on:
            return answer
        again = Answer(**answer.model_dump(include=ASKED))
        return await self._begin(session, again)

    async def resume(self, session: AsyncSession, answer: Answer) -> Answer:
        """Have an answer that broke off go on where it ended, from the commit of this writing session on.

        Raises:
            AnswerRunning, TooManyAnswers, SpendingRefused: as `ask`.
        """
        found = await session.get_one(Answer, answer.id, with_for_update=True)
        if not found.can_go_on:
            return found
        return await self._begin(session, found)

    async def stop(self, answer: Answer) -> None:
        """Stop an answer, whichever process writes it; where it is this one, wait until that is stored."""
        async with self.database.writer() as session:
            await store.stop(session, answer.id)
        await self.cut(answer.id)

    async def approve(self, session: AsyncSession, answer: Answer, call: int, *, rest: bool = False) -> Answer:
        """Allow a call that an answer waits with, by its place in `tool_runs`; it goes on when nothing waits any more.

        With `rest` others of the same tool are allowed too as long as this answer is written. What has been decided is
        not changed. It runs from the commit of this writing session on: once, with the rights of that moment.

        Raises:
            UnknownCall, ToolNotAllowed, TooManyAnswers: answered 404, 403 and 429; nothing may be committed.
        """
        return await self._decide(session, answer, call, ALWAYS if rest else ALLOWED)

    async def refuse(self, session: AsyncSession, answer: Answer, call: int) -> Answer:
        """Refuse a call that an answer waits with, by its place in `tool_runs`; the model is told and goes on.

        Raises:
            UnknownCall, TooManyAnswers: answered 404 and 429; nothing may be committed.
        """
        return await self._decide(session, answer, call, REFUSED)

    async def _decide(self, session: AsyncSession, answer: Answer, call: int, approval: str) -> Answer:
        begun = await store.read_for_update(session, answer.id)
        if begun is None:
            return answer
        found, runs = begun.answer, begun.answer.tool_runs
        if call >= len(runs):
            raise UnknownCall
        if not (found.is_waiting and is_waiting(runs[call])):
            return found
        if found.lease_until is None or found.lease_until < utc_now():
            approval = REFUSED
        scopes = common_scopes(found.tool_scopes, self._scopes)
        if approval != REFUSED:
            self._require_allowed(runs[call]["name"], scopes)
        found.tool_scopes, found.tool_runs = scopes, decided(runs, call, approval)
        if not any(map(is_waiting, found.tool_runs)):
            await self._check_may_run(session, found)
            store.begin(found, self.worker)
            self._start_after_commit(session, begun)
        await session.flush()
        return found

    def _require_allowed(self, name: str, scopes: str) -> None:
        toolbox = self._make_toolbox() if self._make_toolbox else None
        if toolbox and name in toolbox.tools and (missing := toolbox.missing_scopes(name, scopes)):
            raise ToolNotAllowed(missing)

    async def cut(self, answer_id: int) -> None:
        """Stop an answer if it is written here, and wait until that is stored."""
        if answer_task := self._tasks.get(answer_id):
            answer_task.cut(STOPPED)
            await asyncio.wait([answer_task.task])

    async def find(self, answer_id: int, owner_id: int) -> Answer | None:
        """An answer of this person."""
        return await store.find_newest(
            self.database, (col(Answer.id) == answer_id) & (col(Answer.owner_id) == owner_id)
        )

    async def allowance(self, owner_id: int | None = None) -> str:
        """A sentence for the form of a question: what keeps this person from it, or that most is used; else empty."""
        if not self.llm.guard:
            return ""
        async with self.database.reader(fresh=True) as session:
            payer = Payer.parse(self._charged_to) if self._charged_to else Payer.of_user(owner_id)
            return await self.llm.guard.allowance(session, payer, self.llm.model)

    async def newest(self, topic: str, owner_id: int | None) -> ShownAnswer | None:
        """What this person was answered last on a topic, for a page: `show_answer` of `macros/answer.html` shows it."""
        answer = await store.find_newest(
            self.database, (col(Answer.topic) == topic) & (col(Answer.owner_id) == owner_id)
        )
        return await self.shown(answer) if answer else None

    async def shown(self, answer: Answer) -> ShownAnswer:
        """An answer as pages show it, with its text so far."""
        await self.refresh([answer])
        return await ShownAnswer.of(answer)

    async def refresh(self, answers: Iterable[Answer]) -> None:
        """Give answers that were running when they were read what they have come to."""
        running = {answer.id: answer for answer in answers if answer.is_running}
        with suppress(*TRANSIENT_ERRORS):
            await self.take_over(running.values())
        elsewhere = dict.fromkeys(running.keys() - self._tasks.keys(), -1)
        for answer_id, found in (await store.read(self.database, elsewhere) if elsewhere else {}).items():
            values = {name: getattr(found.answer, name) for name in Answer.model_fields}
            running[answer_id].sqlmodel_update({**values, "text": found.text, "reasoning": found.reasoning})
        for answer_id in running.keys() & self._tasks.keys():
            live = self._tasks[answer_id].live
            now = {name: getattr(live.answer, name) for name in ("status", "sources")}
            grown = {name: getattr(live, name) for name in ("text", "reasoning", "tool_runs")}
            running[answer_id].sqlmodel_update(now | grown)

    def view(self, answer: Answer) -> AbstractAsyncContextManager[LiveAnswer]:
        """The answer as it grows, whichever process writes it."""
        if answer_task := self._tasks.get(answer.id):
            return answer_task.live  # and nothing of this row, nor of the manager: hundreds may look
        if not answer.is_running:
            return LiveAnswer(AnswerProgress.of(answer))
        return self._followers.follow(answer)

    async def take_over(self, answers: Iterable[Answer]) -> None:
        """Go on with those of these answers whose process is dead, where their model can; the others end.

        What has no text yet begins anew.
        """
        dead = [] if self._closing.is_set() else [answer for answer in answers if self.is_dead(answer)]
        for start in range(0, len(dead), MAX_ANSWERS_PER_QUERY):
            some = dead[start : start + MAX_ANSWERS_PER_QUERY]
            async with self.database.writer() as session:
                ours = await store.take_over(session, self.worker, some, self._goes_on)
            for begun in ours:
                self._start(begun)

    def is_dead(self, answer: Answer) -> bool:
        """Whether the process that wrote this answer has gone. Ours is alive, however long it could not say so."""
        if not answer.is_running or answer.id in self._tasks:
            return False
        is_dead = self._lock.is_dead(answer.worker) if answer.worker not in ("", self.worker) else None
        return is_dead if is_dead is not None else answer.lease_until is not None and answer.lease_until < utc_now()

    async def close(self, grace_seconds: float = 0) -> None:
        """Let answers end for so long, hand over those that have not, and send the viewers away."""
        await cancel_and_wait(self._watching)
        asyncio.get_running_loop().call_later(min(grace_seconds, VIEWERS_TIMEOUT_SECONDS), self._leave)
        await self._wait(grace_seconds)
        self._closing.set()
        for answer_task in self._tasks.values():
            answer_task.cut(HANDED_OVER)
        await self._wait(SHUTDOWN_TIMEOUT_SECONDS)
        self._leave()
        await self._followers.close()
        self._lock.release()

    async def _wait(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait([answer_task.task for answer_task in self._tasks.values()], timeout=seconds)

    def _leave(self) -> None:
        for answer_task in self._tasks.values():
            answer_task.live.leave()
        self._followers.leave()

    async def _watch(self) -> None:
        while True:
            try:
                async with self.database.reader(fresh=True) as session:
                    others = await store.read_running(session, _written_elsewhere(self.worker))
                if not others:
                    return
                await self.take_over(others)
            except TRANSIENT_ERRORS as fault:
                logger.warning("answers of other processes cannot be watched (%s)", type(fault).__name__)
            await asyncio.sleep(WATCH_INTERVAL_SECONDS)

    def _goes_on(self, found: AnswerProgress) -> bool:
        provider = self._model(found.answer).provider
        can = provider is not None and (provider.continues or not said_since(found.answer.tool_runs, found.text))
        return can and bool(found.answer.prompt) and found.answer.takeovers < MAX_TAKEOVERS

    async def _begin(self, session: AsyncSession, answer: Answer) -> Answer:
        await self._check_may_run(session, answer)
        answer.tool_scopes = common_scopes(answer.tool_scopes, self._scopes)  # who asked first may have had fewer
        answer.charged_to = self._charged_to
        model = self._model(answer)
        if model.guard:
            asked = sum(map(estimate_tokens, answer.messages))
            await model.guard.check(session, answer.payer, model.model, asked)
        store.begin(answer, self.worker)
        session.add(answer)
        try:
            await session.flush()
        except IntegrityError:  # a running answer that our own look-up did not count
            raise AnswerRunning from None

        self._start_after_commit(session, AnswerProgress.of(answer))
        return answer

    def _start_after_commit(self, session: AsyncSession, begun: AnswerProgress) -> None:
        async def start() -> None:
            self._start(begun)

        after_commit(session, start)

    async def _check_may_run(self, session: AsyncSession, answer: Answer) -> None:
        """Raise AnswerRunning or TooManyAnswers. One that waits for its owner only keeps others from its topic."""
        if answer.owner_id is None:
            return
        # Nobody else asks for this person until the transaction ends. On SQLite whoever writes is alone already.
        await session.execute(select(col(User.id)).where(col(User.id) == answer.owner_id).with_for_update())
        running = await store.read_running(session, col(Answer.owner_id) == answer.owner_id)
        others = [each for each in running if each is not answer]
        if dead := [each for each in others if self.is_dead(each)]:
            await store.take_over(session, self.worker, dead, lambda _: False)
        alive = [each for each in others if each not in dead]
        if answer.topic and answer.topic in [each.topic for each in alive]:
            raise AnswerRunning
        if len([each for each in alive if not each.is_waiting]) >= MAX_RUNNING_ANSWERS:
            raise TooManyAnswers

    def _start(self, begun: AnswerProgress) -> None:
        model = self._model(begun.answer)
        toolbox = self._toolbox_for(self._make_toolbox, begun.answer) if model.calls_tools else None
        retrieval = None if model.calls_tools else self._toolbox_for(self._make_retrieval, begun.answer)
        answer_task = self._tasks[begun.answer.id] = AnswerTask(
            self._flusher, model, begun, toolbox, self._storage, retrieval
        )
        answer_task.start()
        answer_task.task.add_done_callback(lambda _: self._forget(answer_task))

    def _forget(self, answer_task: AnswerTask) -> None:
        if self._tasks.get(answer_task.live.id) is answer_task:  # it may have waited, and go on by now
            del self._tasks[answer_task.live.id]

    def _toolbox_for(self, make_toolbox: Callable[[], Toolbox] | None, answer: Answer) -> Toolbox | None:
        """The tools that an answer may use."""
        if not (make_toolbox and answer.tool_scopes):
            return None
        allowed = make_toolbox().allowed(answer.tool_scopes)
        return allowed.without_asking if answer.owner_id is None else allowed  # there is nobody to ask

    def _model(self, answer: Answer) -> LanguageModel:
        """Whom it was asked of, or what has come in the place of that."""
        with suppress(LLMError):
            return self.llm.using(answer.model)
        return self.llm


def _written_elsewhere(worker: str) -> ColumnElement[bool]:
    return (col(Answer.worker) != worker) & (col(Answer.status) == AnswerStatus.STREAMING)
