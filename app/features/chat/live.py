"""An answer in memory while it grows, for any number of viewers."""

import asyncio
from collections.abc import AsyncIterator

from app.features.chat.blocks import Blocks
from app.features.chat.models import Message, Status

PACE = 0.1
"""Seconds between two updates to a viewer: more often costs much and shows nothing."""


class LiveAnswer:
    """Viewers hold an offset and wait for more: a slow one costs no memory and never holds the writer up."""

    def __init__(self, message: Message, text: str | None = None) -> None:
        self.message = message
        self._parts = [message.text if text is None else text]
        self._blocks = Blocks()
        self._rendered = 0
        self._left = False
        self._changed = asyncio.Event()

    @property
    def id(self) -> int:
        return self.message.id

    @property
    def text(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0]

    @property
    def ended(self) -> bool:
        return self.message.status != Status.STREAMING

    @property
    def blocks(self) -> Blocks:
        """The text so far as HTML, rendered once for all viewers."""
        text = self.text
        self._blocks.feed(text[self._rendered :])
        self._rendered = len(text)
        return self._blocks

    def add(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._notify()

    def end(self, message: Message) -> None:
        """The last change: the answer as it is stored."""
        self.message = message
        self._parts = [message.text]
        self._notify()

    def leave(self) -> None:
        """The process stops: viewers go, and find the rest at another one or after the restart."""
        self._left = True
        self._notify()

    async def growth(self, offset: int) -> AsyncIterator[str]:
        """The text each time it is longer than what the viewer has, at a bounded pace, until the answer ends."""
        while True:
            if len(self.text) > offset:
                offset = len(self.text)
                yield self.text
                await asyncio.sleep(PACE)
            elif self.ended or self._left:
                return
            else:
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
