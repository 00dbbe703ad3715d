"""The answers that this process writes, and those of other processes that somebody follows here.

An answer belongs to the process and not to the request that asked: closing the page, a lost connection or a reload
never stop it. Its text is appended to the database while it grows, so that others see it and a crash loses little.
"""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from app.core import llm
from app.core.db.database import Database
from app.core.db.faults import UNAVAILABLE
from app.core.db.model import utc_now
from app.features.chat import record
from app.features.chat.live import LiveAnswer
from app.features.chat.models import Message, Status
from app.features.chat.record import Outcome

logger = logging.getLogger(__name__)

SAVE_EVERY = 0.25
"""Seconds; a crash loses no more text than this."""
RENEW_EVERY = 1.0
"""Seconds between renewals of the lease, and looks for a request to stop, while the model is silent."""
GIVE_UP_SAVING = 30.0
"""Seconds without a successful save after which the answer fails."""
POLL_EVERY = 0.25
"""Seconds between two looks at an answer that another process writes."""
RETRY_END = (0.1, 0.5, 2.0)
"""Seconds before each further attempt to store the end of an answer: lost, it would look unfinished for ever."""

STOPPED = Outcome(Status.STOPPED)
INTERRUPTED = Outcome(Status.INTERRUPTED, "interrupted", "The server stopped while this answer was being written.")
LOST = Outcome(Status.FAILED, "database", "The answer could not be stored. Try again.")
BROKEN = Outcome(Status.FAILED, "internal", "Something went wrong on our side. Try again.")


class _Run:
    """One answer being written here."""

    def __init__(self, live: LiveAnswer) -> None:
        self.live = live
        self.task: asyncio.Task[None] | None = None
        self.cut_by: Outcome | None = None
        """Why the task was cancelled."""
        self.finished = asyncio.Event()
        self.seq = 0
        self.saved = 0

    def cut(self, outcome: Outcome) -> None:
        if self.task and not self.cut_by:
            self.cut_by = outcome
            self.task.cancel()


class Runs:
    """`start` what was asked, `view` it from any number of requests, `stop` it, `close` at the end of the process."""

    def __init__(self, database: Database, provider: llm.Provider | None) -> None:
        self.database = database
        self.provider = provider
        self.worker = secrets.token_hex(16)
        self._runs: dict[int, _Run] = {}
        self._followed: dict[int, tuple[LiveAnswer, asyncio.Task[None]]] = {}
        self._viewers: Counter[int] = Counter()

    @property
    def model(self) -> str:
        """What people are shown as the answers' author."""
        return self.provider.name if self.provider else ""

    @property
    def context_budget(self) -> int:
        return self.provider.context_budget if self.provider else 0

    async def text_so_far(self, answer: Message) -> str:
        if run := self._runs.get(answer.id):
            return run.live.text
        progress = await record.read(self.database, answer.id)
        return progress.text if progress else ""

    def start(self, answer: Message, prompt: Sequence[llm.Message]) -> None:
        """Write an answer that has been committed as this worker's."""
        run = self._runs[answer.id] = _Run(LiveAnswer(answer))
        run.task = asyncio.create_task(self._write(run, prompt), name=f"answer {answer.id}")

    async def stop(self, message_id: int) -> None:
        """Stop an answer that is written here, and wait until that is stored."""
        if run := self._runs.get(message_id):
            await self._cut(run, STOPPED)

    async def close(self) -> None:
        """Store what there is of every answer, and send the viewers away."""
        await asyncio.gather(*(self._cut(run, INTERRUPTED) for run in list(self._runs.values())))
        for live, task in list(self._followed.values()):
            live.leave()
            task.cancel()

    @asynccontextmanager
    async def view(self, answer: Message) -> AsyncIterator[LiveAnswer]:
        """The answer as it grows, whichever process writes it."""
        if run := self._runs.get(answer.id):
            yield run.live
        elif answer.status != Status.STREAMING:
            yield LiveAnswer(answer)
        else:
            async with self._followed_answer(answer) as live:
                yield live

    @staticmethod
    async def _cut(run: _Run, outcome: Outcome) -> None:
        run.cut(outcome)
        if run.task:
            await asyncio.wait([run.task])

    async def _write(self, run: _Run, prompt: Sequence[llm.Message]) -> None:
        saving = asyncio.create_task(self._save_regularly(run))
        try:
            outcome = await self._generate(run, prompt)
        except asyncio.CancelledError:
            outcome = run.cut_by or INTERRUPTED
        except llm.LLMError as error:
            outcome = _failure(error)
        except Exception:
            logger.exception("answer %s", run.live.id)
            outcome = BROKEN
        # From here on nothing cancels: the end is stored, or the viewers are told that it could not be.
        run.cut_by = run.cut_by or outcome
        run.finished.set()
        await asyncio.wait([saving])
        await self._end(run, _with_usage(outcome, prompt, run.live.text))
        del self._runs[run.live.id]

    async def _generate(self, run: _Run, prompt: Sequence[llm.Message]) -> Outcome:
        if self.provider is None:
            raise llm.LLMError("not_configured", "No model is set up. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.")
        async with aclosing(self.provider.stream(prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, llm.Finish):
                    return Outcome(
                        Status.TRUNCATED if piece.truncated else Status.DONE,
                        prompt_tokens=piece.prompt_tokens or 0,
                        completion_tokens=piece.completion_tokens or 0,
                        usage_estimated=piece.completion_tokens is None,
                    )
                run.live.add(_storable(piece))
        raise llm.LLMError("interrupted", "The model ended its answer in the middle. Try again.")

    async def _save_regularly(self, run: _Run) -> None:
        renewed = saved = time.monotonic()
        while not run.finished.is_set():
            await _either(run.finished, SAVE_EVERY)
            text = run.live.text[run.saved :]
            if run.finished.is_set() or (not text and time.monotonic() - renewed < RENEW_EVERY):
                continue
            try:
                stop = await record.save(self.database, run.live.id, self.worker, run.seq, text)
            except UNAVAILABLE:
                logger.warning("answer %s: not saved, the database does not answer", run.live.id)
                if time.monotonic() - saved > GIVE_UP_SAVING:
                    run.cut(LOST)
                continue
            run.seq, run.saved = run.seq + 1, run.saved + len(text)
            renewed = saved = time.monotonic()
            if stop is not False:  # asked to, or the answer is gone
                run.cut(STOPPED)

    async def _end(self, run: _Run, outcome: Outcome) -> None:
        live = run.live
        for pause in (*RETRY_END, None):
            try:
                stored = await record.finish(self.database, live.id, self.worker, live.text, outcome)
            except UNAVAILABLE:
                if pause is not None:
                    await asyncio.sleep(pause)
            else:
                live.end(stored) if stored else live.leave()
                return
        logger.error("answer %s: its end could not be stored", live.id)
        live.end(live.message.sqlmodel_update({**vars(LOST), "text": live.text}))

    @asynccontextmanager
    async def _followed_answer(self, answer: Message) -> AsyncIterator[LiveAnswer]:
        if answer.id not in self._followed:
            live = LiveAnswer(answer)
            self._followed[answer.id] = live, asyncio.create_task(self._follow(live), name=f"follow {answer.id}")
        live, task = self._followed[answer.id]
        self._viewers[answer.id] += 1
        try:
            yield live
        finally:
            self._viewers[answer.id] -= 1
            if not self._viewers[answer.id]:
                del self._viewers[answer.id], self._followed[answer.id]
                task.cancel()

    async def _follow(self, live: LiveAnswer) -> None:
        last_seq = -1
        while not live.ended:
            try:
                progress = await record.read(self.database, live.id, last_seq)
                if progress and progress.message.lease_until and progress.message.lease_until < utc_now():
                    await record.interrupt_expired(self.database, live.message.conversation_id)
                    continue
            except UNAVAILABLE:
                logger.warning("answer %s: cannot be followed, the database does not answer", live.id)
                await asyncio.sleep(RENEW_EVERY)
                continue
            if progress is None:
                live.leave()
                return
            if progress.message.status != Status.STREAMING:
                live.end(progress.message)
                return
            last_seq = progress.last_seq
            live.add(progress.text)
            await asyncio.sleep(POLL_EVERY)


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than that."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _storable(piece: str) -> str:
    # A model can produce what no database takes: NUL, and halves of a surrogate pair.
    return piece.replace("\0", "").encode(errors="replace").decode()


def _failure(error: llm.LLMError) -> Outcome:
    status = Status.INTERRUPTED if error.code == "interrupted" else Status.FAILED
    return Outcome(status, error.code, str(error))


def _with_usage(outcome: Outcome, prompt: Sequence[llm.Message], text: str) -> Outcome:
    """Providers tell the tokens with the last piece, if at all: estimate what was not told."""
    if not outcome.usage_estimated:
        return outcome
    prompt_tokens = sum(llm.tokens(message.content) for message in prompt)
    return replace(outcome, prompt_tokens=prompt_tokens, completion_tokens=llm.tokens(text))
