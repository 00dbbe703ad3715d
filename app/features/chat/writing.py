"""One answer being written by this process: generated, saved while it grows, and ended."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from app.core import llm
from app.core.db.database import Database
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
RETRY_END = (0.1, 0.5, 2.0)
"""Seconds before each further attempt to store the end of an answer: lost, it would look unfinished for ever."""

FAULTS = (SQLAlchemyError, TimeoutError)
"""What a database may answer instead of doing what it was asked, for a reason that may pass."""

STOPPED = Outcome(Status.STOPPED)
INTERRUPTED = Outcome(Status.INTERRUPTED, "interrupted", "The server stopped while this answer was being written.")
LOST = Outcome(Status.FAILED, "database", "The answer could not be stored. Try again.")
BROKEN = Outcome(Status.FAILED, "internal", "Something went wrong on our side. Try again.")


class Run:
    """Writes one answer, from `start` until `task` is done."""

    def __init__(
        self,
        database: Database,
        provider: llm.Provider | None,
        worker: str,
        answer: Message,
        prompt: Sequence[llm.Message],
    ) -> None:
        self.database = database
        self.provider = provider
        self.worker = worker
        self.prompt = prompt
        self.live = LiveAnswer(answer)
        self._cut_by: Outcome | None = None
        self._generated = asyncio.Event()
        self._seq = 0
        self._saved = 0

    def start(self) -> None:
        self._generation = asyncio.create_task(self._generate())
        self._saving = asyncio.create_task(self._save_regularly())
        # Nothing cancels this one: whatever happens to the other two, the end is stored.
        self.task = asyncio.create_task(self._write(), name=f"answer {self.live.id}")

    def cut(self, outcome: Outcome) -> None:
        """End it like this, unless it has ended already. `task` is done when that is stored."""
        self._cut_by = self._cut_by or outcome
        self._generation.cancel()

    async def _write(self) -> None:
        try:
            await asyncio.wait([self._generation])
            self._generated.set()
            await asyncio.wait([self._saving])
            await self._end(self._outcome())
        finally:
            self.live.leave()

    def _outcome(self) -> Outcome:
        if self._generation.cancelled():
            return self._with_usage(self._cut_by or INTERRUPTED)
        error = self._generation.exception()
        if error is None:
            return self._with_usage(self._generation.result())
        if not isinstance(error, llm.LLMError):
            logger.error("answer %s", self.live.id, exc_info=error)
            return self._with_usage(BROKEN)
        status = Status.INTERRUPTED if error.code == "interrupted" else Status.FAILED
        return self._with_usage(Outcome(status, error.code, str(error)))

    def _with_usage(self, outcome: Outcome) -> Outcome:
        """Providers tell the tokens with the last piece, if at all: estimate what was not told."""
        if not outcome.usage_estimated:
            return outcome
        prompt_tokens = sum(llm.tokens(message.content) for message in self.prompt)
        return replace(outcome, prompt_tokens=prompt_tokens, completion_tokens=llm.tokens(self.live.text))

    async def _generate(self) -> Outcome:
        if self.provider is None:
            raise llm.LLMError("not_configured", "No model is set up. Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL.")
        async with aclosing(self.provider.stream(self.prompt)) as pieces:
            async for piece in pieces:
                if isinstance(piece, llm.Finish):
                    return Outcome(
                        Status.TRUNCATED if piece.truncated else Status.DONE,
                        prompt_tokens=piece.prompt_tokens or 0,
                        completion_tokens=piece.completion_tokens or 0,
                        usage_estimated=piece.completion_tokens is None,
                    )
                self.live.add(_storable(piece))
        raise llm.LLMError("interrupted", "The model ended its answer in the middle. Try again.")

    async def _save_regularly(self) -> None:
        renewed = time.monotonic()
        piece = ""
        while not self._generated.is_set():
            await _either(self._generated, SAVE_EVERY)
            # A piece that failed is sent again as it was: it may be there, and only the answer to it was lost.
            piece = piece or self.live.text[self._saved :]
            if self._generated.is_set() or (not piece and time.monotonic() - renewed < RENEW_EVERY):
                continue
            if await self._save(piece):
                self._seq, self._saved, piece = self._seq + 1, self._saved + len(piece), ""
                renewed = time.monotonic()
            elif time.monotonic() - renewed > GIVE_UP_SAVING:
                self.cut(LOST)

    async def _save(self, piece: str) -> bool:
        try:
            stop = await record.save(self.database, self.live.id, self.worker, self._seq, piece)
        except IntegrityError:  # it is there
            return True
        except FAULTS as fault:
            logger.warning("answer %s: not saved (%s)", self.live.id, type(fault).__name__)
            return False
        if stop is not False:  # somebody asked to, or the answer is gone
            self.cut(STOPPED)
        return True

    async def _end(self, outcome: Outcome) -> None:
        live = self.live
        for pause in (*RETRY_END, None):
            try:
                stored = await record.finish(self.database, live.id, self.worker, live.text, outcome)
            except FAULTS as fault:
                logger.warning("answer %s: its end is not stored (%s)", live.id, type(fault).__name__)
                if pause is not None:
                    await asyncio.sleep(pause)
            else:
                if stored and stored.status != Status.STREAMING:
                    live.end(stored)
                return
        live.end(live.message.sqlmodel_update({**vars(LOST), "text": live.text}))


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
