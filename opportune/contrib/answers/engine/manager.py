"""Manager of the answers that this process writes, and of answers of other processes that are viewed here.

An answer belongs to the process, not to the request. It continues after the page is closed or the connection is lost.
Its text is appended to the database while it grows. Viewers see only committed text, so that a crash never removes text
they have read.
"""

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from copy import copy
from datetime import UTC, datetime
from functools import partial
from typing import Self

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.tokens.scopes import ALL_SCOPES, get_common_scopes
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.decisions import decide
from opportune.contrib.answers.engine.flusher import AnswerFlusher
from opportune.contrib.answers.engine.follower import AnswerFollower
from opportune.contrib.answers.engine.limits import AnswerLimits, AnswerRunning, require_capacity
from opportune.contrib.answers.engine.live import LiveAnswer, ShownAnswer
from opportune.contrib.answers.engine.records import HANDED_OVER, STOPPED, AnswerProgress
from opportune.contrib.answers.engine.store import TRANSIENT_ERRORS
from opportune.contrib.answers.engine.task import AnswerTask
from opportune.contrib.answers.engine.tool_jobs import end_lost_jobs
from opportune.contrib.answers.engine.tool_runs import ALLOWED, ALWAYS, REFUSED, is_waiting, text_after_last_call
from opportune.contrib.answers.models import ALL_TOOLS, WAITS_FOR_JOB, Answer, AnswerStatus, as_prompt
from opportune.contrib.llm import LanguageModel, LlmError, estimate_tokens
from opportune.contrib.llm.attachments import MAX_OMITTED_LENGTH, Attachment, attach, require_sight
from opportune.contrib.llm.call_guard import Payer
from opportune.contrib.llm.completion.request import Prompt
from opportune.contrib.tools import Toolbox
from opportune.db import Database, after_commit
from opportune.db.constraint_errors import flush_or_refuse
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import read_database_time
from opportune.jobs.worker_lock import WorkerLock
from opportune.services.tasks import cancel_and_wait
from opportune.storage import Storage

SHUTDOWN_TIMEOUT_SECONDS = 1.5
"""Time to store running answers when the process stops. Other processes continue the rest after their leases expire."""
VIEWERS_TIMEOUT_SECONDS = 2.0
"""Time until open streams are closed when the process stops."""
MAX_TAKEOVERS = 20
"""Maximum number of takeovers per answer, because an answer may crash each process that continues it."""
LATEST_TIME = datetime.max.replace(tzinfo=UTC)
MakeToolbox = Callable[[], Toolbox]
QUESTION_FIELDS = {"owner_id", "topic", "question", "prompt", "omitted"}
MODEL_FIELDS = {"model", "temperature", "limits", "tool_scopes", "tool_names"}


class AnswerManager:
    """Answers of the site: `ask` a question, then show, stop, retry or continue the answer in later requests.

    Example:
        @router.post("/books/{id}/ask")
        async def ask(
            request: Request, id: RowId, user: CurrentUser, session: WriteSession, answers: Answers
        ) -> Response:
            answer = await answers.ask(session, "What is this book about?", owner_id=user.id, topic=f"books:{id}")
            return redirect(request, f"/answers/{answer.id}")
    """

    def __init__(
        self,
        database: Database,
        llm: LanguageModel,
        make_toolbox: MakeToolbox | None = None,
        storage: Storage | None = None,
        make_retrieval: MakeToolbox | None = None,
        limits: AnswerLimits | None = None,
    ) -> None:
        """Create the manager of a process.

        Args:
            database: Database of the site.
            llm: Language model of the site.
            make_toolbox: Returns the tools that models may call.
            storage: Storage of attached pictures.
            make_retrieval: Returns the tools to call before a model that cannot call tools.
            limits: Limits of each answer, unless it has its own.
        """
        self.database = database
        self.llm = llm
        self.make_toolbox = make_toolbox
        self._make_retrieval = make_retrieval
        self._storage = storage
        self._limits = limits or AnswerLimits()
        self._scopes = ALL_SCOPES
        self._visitor = ""
        self.worker = secrets.token_hex(16)
        self._tasks: dict[int, AnswerTask] = {}
        self._flusher = AnswerFlusher(database, self.worker)
        self._followers = AnswerFollower(database, self.take_over)
        self._lock = WorkerLock(str(database.url.sync_url), self.worker)
        self._watches = False
        self._closing = asyncio.Event()

    @property
    def storage(self) -> Storage:
        """Storage of attached pictures."""
        assert self._storage
        return self._storage

    @property
    def toolbox(self) -> Toolbox | None:
        """Tools that models may call."""
        return self.make_toolbox() if self.make_toolbox else None

    def within(self, scopes: str) -> Self:
        """Return a manager whose questions use only tools allowed by these scopes (separated by spaces)."""
        limited = copy(self)  # a shallow copy, which shares the running answers
        limited._scopes = get_common_scopes(self._scopes, scopes)
        return limited

    def charging(self, visitor: Payer) -> Self:
        """Return a manager that charges questions to a visitor's address instead of the owner."""
        charged = copy(self)
        charged._visitor = str(visitor)
        return charged

    def open(self, *, watch: bool = True) -> None:
        """Register this process as alive. With `watch`, take over answers of dead processes."""
        self._lock.acquire()
        self._watches = watch
        self._watch()

    def _watch(self) -> None:
        if self._watches:
            self._followers.start_watching(self.worker)

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
        """Store a new answer, which is generated after the commit of the session.

        Args:
            session: A `WriteSession`.
            prompt: A question, or a conversation that ends with one.
            system: System message before the conversation.
            owner_id: User who may see the answer at `/answers/{id}`. None for answers shown only by your code.
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

        Returns:
            The stored, empty answer.

        Raises:
            AnswerRunning: An answer on the topic is running (409).
            TooManyAnswers: The user has too many running answers (429).
            SpendingRefused: A limit is reached (429), or answers are switched off (503).
            AttachmentRefused: The model cannot see attached pictures (422).
        """
        language_model = self.llm.using(model)
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
            topic=topic,
            question=question,
            prompt=as_prompt(messages),
            model=language_model.name,
            tool_scopes=self._scopes if tools else "",
            tool_names=[ALL_TOOLS] if isinstance(tools, bool) else [*tools],
            temperature=temperature,
            omitted=omitted[:MAX_OMITTED_LENGTH],
            limits=limits.stored() if limits else {},
        )
        return await self._start_answer(session, answer)

    async def retry(self, session: AsyncSession, answer: Answer) -> Answer:
        """Ask the question of an incomplete answer again. The old answer is kept.

        It raises what `ask` raises.
        """
        if not answer.can_continue:
            return answer
        copied_fields = QUESTION_FIELDS | MODEL_FIELDS
        return await self._start_answer(session, Answer(**answer.model_dump(include=copied_fields)))

    async def resume(self, session: AsyncSession, answer: Answer) -> Answer:
        """Continue an incomplete answer after the commit of the session.

        It raises what `ask` raises.
        """
        row = await session.get_one(Answer, answer.id, with_for_update=True)
        if not row.can_continue:
            return row
        row.seconds = 0  # the user grants the time again
        return await self._start_answer(session, row)

    async def stop(self, answer: Answer) -> None:
        """Stop an answer in any process. If this process writes it, wait until the end is stored."""
        async with self.database.writer() as session:
            await store.stop_answer(session, answer.id)
        await self.cut(answer.id)

    async def approve(self, session: AsyncSession, answer: Answer, call: int, *, rest: bool = False) -> Answer:
        """Allow a waiting tool call. It runs once after the commit, with the user's permissions at that time.

        The answer continues when no call waits. Earlier decisions do not change.

        Args:
            session: A `WriteSession`.
            answer: The waiting answer.
            call: Index in `tool_runs`.
            rest: Also allow later calls of the same tool in this answer.

        It raises UnknownCall (404), ToolNotAllowed (403) or TooManyAnswers (429).
        """
        return await self._decide(session, answer, call, ALWAYS if rest else ALLOWED)

    async def refuse(self, session: AsyncSession, answer: Answer, call: int) -> Answer:
        """Refuse a waiting tool call by its index in `tool_runs`. The model continues without its result."""
        return await self._decide(session, answer, call, REFUSED)

    async def reply(self, session: AsyncSession, answer: Answer, call: int, reply: BaseModel) -> Answer:
        """Answer a question of the model with a filled-in form. The first reply counts."""
        return await self._decide(session, answer, call, ALLOWED, reply.model_dump_json())

    async def _decide(
        self, session: AsyncSession, answer: Answer, call: int, approval: str, reply: str | None = None
    ) -> Answer:
        progress = await store.read_progress_for_update(session, answer.id)
        if progress is None:
            return answer
        row = progress.answer
        now = await read_database_time(session)
        if not decide(row, call, approval, reply, now=now, scopes=self._scopes, toolbox=self.toolbox):
            return row
        if not any(map(is_waiting, row.tool_runs)):
            await require_capacity(session, row, self.worker, partial(self.is_dead, now=now))
            store.assign_worker(row, self.worker, now)
            self._start_after_commit(session, progress)
        await session.flush()
        return row

    async def cut(self, answer_id: int) -> None:
        """Stop an answer written by this process, and wait until its end is stored."""
        if answer_task := self._tasks.get(answer_id):
            answer_task.cut(STOPPED)
            await asyncio.wait([answer_task.task])

    async def find(self, answer_id: int, owner_id: int) -> Answer | None:
        """Return an answer of the user, or None."""
        return await store.find_newest_answer(
            self.database, (col(Answer.id) == answer_id) & (col(Answer.owner_id) == owner_id)
        )

    async def allowance(self, owner_id: int | None = None) -> str:
        """Return a notice for the form if a limit is reached or nearly reached; else an empty string."""
        if not self.llm.guard:
            return ""
        async with self.database.reader(fresh=True) as session:
            payer = Payer.parse(self._visitor) if self._visitor else Payer.of_user(owner_id)
            return await self.llm.guard.allowance(session, payer, self.llm.model)

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
        running = {answer.id: answer for answer in answers if answer.is_running}
        with suppress(*TRANSIENT_ERRORS):
            await self.take_over(running.values())
        last_seqs = dict.fromkeys(running.keys() - self._tasks.keys(), -1)
        if last_seqs:
            stored = await store.read_progress(self.database, last_seqs)
            for answer_id, progress in stored.items():
                progress.copy_to(running[answer_id])
        for answer_id in running.keys() & self._tasks.keys():
            self._tasks[answer_id].live.copy_to(running[answer_id])

    def view(self, answer: Answer) -> AbstractAsyncContextManager[LiveAnswer]:
        """Return a context manager with the growing answer, written by any process."""
        if answer_task := self._tasks.get(answer.id):
            return answer_task.live  # a closure would keep the row in memory for each viewer
        if not answer.is_running:
            return LiveAnswer(AnswerProgress.from_answer(answer))
        return self._followers.follow(answer)

    async def take_over(self, answers: Iterable[Answer]) -> None:
        """Continue the answers of dead processes. End an answer as interrupted if its model cannot continue it."""
        if self._closing.is_set():
            return
        answers = [*answers]
        if await end_lost_jobs(self.database, answers):
            await self.continue_released()
        dead = await self._find_expired(answers, self.is_dead)
        for batch in batches_of(dead, store.MAX_ANSWERS_PER_QUERY):
            async with self.database.writer() as session:
                continued = await store.take_over_answers(session, self.worker, batch, self._can_continue)
            for progress in continued:
                self._start_task(progress)

    async def _find_expired(
        self, answers: Iterable[Answer], has_expired: Callable[[Answer, datetime], bool]
    ) -> list[Answer]:
        """Return the expired answers. The time of the database is read only if it decides about some of them."""
        suspects = [answer for answer in answers if has_expired(answer, LATEST_TIME)]
        if not suspects:
            return []
        async with self.database.reader(fresh=True) as session:
            now = await read_database_time(session)
        return [answer for answer in suspects if has_expired(answer, now)]

    async def continue_released(self) -> None:
        """Continue answers that have the results of their jobs."""
        with suppress(*TRANSIENT_ERRORS):
            async with self.database.reader(fresh=True) as session:
                is_released = (col(Answer.worker) == "") & (col(Answer.status) == AnswerStatus.STREAMING)
                released = await store.read_running_answers(session, is_released)
            await self.take_over(released)

    def is_dead(self, answer: Answer, now: datetime) -> bool:
        """Return True if the process that wrote this answer is dead. This process is alive even without a lease."""
        if not answer.is_running or answer.id in self._tasks:
            return False
        if answer.worker not in ("", WAITS_FOR_JOB, self.worker):
            is_dead = self._lock.is_dead(answer.worker)
            if is_dead is not None:  # None for processes of other machines
                return is_dead
        return answer.lease_until is not None and answer.lease_until < now

    async def close(self, grace_seconds: float = 0) -> None:
        """Wait for answers to end, then hand over the others and close all streams."""
        await cancel_and_wait(self._followers.watch_task)
        asyncio.get_running_loop().call_later(min(grace_seconds, VIEWERS_TIMEOUT_SECONDS), self._close_streams)
        await self._wait_for_answers(grace_seconds)
        self._closing.set()
        for answer_task in self._tasks.values():
            answer_task.cut(HANDED_OVER)
        await self._wait_for_answers(SHUTDOWN_TIMEOUT_SECONDS)
        self._close_streams()
        await self._followers.close()
        self._lock.release()

    async def _wait_for_answers(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait([answer_task.task for answer_task in self._tasks.values()], timeout=seconds)

    def _close_streams(self) -> None:
        for answer_task in self._tasks.values():
            answer_task.live.close()
        self._followers.close_streams()

    def _can_continue(self, progress: AnswerProgress) -> bool:
        answer = progress.answer
        provider = self._model_of(answer).provider
        if not (provider and answer.prompt and answer.takeovers < MAX_TAKEOVERS):
            return False
        return provider.continues or not text_after_last_call(answer.tool_runs, progress.text)

    async def _start_answer(self, session: AsyncSession, answer: Answer) -> Answer:
        now = await read_database_time(session)
        await require_capacity(session, answer, self.worker, partial(self.is_dead, now=now))
        answer.tool_scopes = get_common_scopes(answer.tool_scopes, self._scopes)
        answer.charged_to = self._visitor
        model = self._model_of(answer)
        if model.guard:
            await model.guard.check(session, answer.payer, model.model, sum(map(estimate_tokens, answer.messages)))
        store.assign_worker(answer, self.worker, now)
        session.add(answer)
        await flush_or_refuse(session, AnswerRunning())  # another request may have started one after the check
        self._start_after_commit(session, AnswerProgress.from_answer(answer))
        return answer

    def _start_after_commit(self, session: AsyncSession, progress: AnswerProgress) -> None:
        async def start() -> None:
            self._start_task(progress)

        after_commit(session, start)

    def _start_task(self, progress: AnswerProgress) -> None:
        answer_task = self._tasks[progress.answer.id] = self._create_task(progress)
        answer_task.start()
        answer_task.task.add_done_callback(lambda _: self._forget(answer_task))

    def _create_task(self, progress: AnswerProgress) -> AnswerTask:
        answer, toolbox, retrieval = progress.answer, None, None
        model = self._model_of(answer)
        if model.calls_tools:
            toolbox = _allowed_tools(self.make_toolbox, answer)
        else:
            retrieval = _allowed_tools(self._make_retrieval, answer)
        limits = self._limits.having(answer.limits)
        return AnswerTask(self._flusher, model, progress, toolbox, self._storage, retrieval, limits)

    def _model_of(self, answer: Answer) -> LanguageModel:
        """Return the answer's model, or the default if it was removed from the settings."""
        with suppress(LlmError):
            return self.llm.using(answer.model)
        return self.llm

    def _forget(self, answer_task: AnswerTask) -> None:
        if self._tasks.get(answer_task.live.id) is answer_task:  # another task may continue the answer
            del self._tasks[answer_task.live.id]
        if answer_task.live.answer.worker == WAITS_FOR_JOB and not self._closing.is_set():
            self._watch()


def _allowed_tools(make_toolbox: MakeToolbox | None, answer: Answer) -> Toolbox | None:
    if not (make_toolbox and answer.tool_scopes):
        return None
    allowed = make_toolbox().named(answer.tool_names).allowed(answer.tool_scopes)
    return allowed.without_approval if answer.owner_id is None else allowed
