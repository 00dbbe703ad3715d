"""An answer that another process writes, for those who look at it here."""

import asyncio
import logging

from app.core.db.database import Database
from app.core.db.model import utc_now
from app.features.chat import record
from app.features.chat.live import LiveAnswer
from app.features.chat.models import Message, Status
from app.features.chat.writing import FAULTS

logger = logging.getLogger(__name__)

POLL_EVERY = 0.25
"""Seconds between two looks at the database, however many viewers there are."""
PAUSE = 1.0
"""Seconds before another look at a database that did not answer."""


class Follower:
    """Reads the pieces of an answer as they are stored, as long as somebody looks."""

    def __init__(self, database: Database, answer: Message) -> None:
        self.database = database
        self.live = LiveAnswer(answer, text="")
        self.viewers = 0
        self._last_seq = -1
        self._task = asyncio.create_task(self._follow(), name=f"follow {answer.id}")

    def leave(self) -> None:
        self._task.cancel()
        self.live.leave()

    async def _follow(self) -> None:
        while not self.live.ended:
            try:
                is_there = await self._look()
            except FAULTS as fault:
                logger.warning("answer %s: cannot be followed (%s)", self.live.id, type(fault).__name__)
                await asyncio.sleep(PAUSE)
                continue
            if not is_there:
                self.live.leave()
                return
            await asyncio.sleep(POLL_EVERY)

    async def _look(self) -> bool:
        progress = await record.read(self.database, self.live.id, self._last_seq)
        if progress is None:
            return False
        message = progress.message
        if message.status != Status.STREAMING:
            self.live.end(message)
        elif message.lease_until and message.lease_until < utc_now():
            await record.interrupt_expired(self.database, message.conversation_id)
        else:
            self._last_seq = progress.last_seq
            self.live.add(progress.text)
        return True
