"""Answers with their text as HTML, for templates."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from markupsafe import Markup

from opportune.contrib.answers.engine.citations import cite, find_cited, list_sources
from opportune.contrib.answers.engine.live import SILENCE_TIMEOUT_SECONDS
from opportune.contrib.answers.models import Answer
from opportune.web import MarkdownBlocks, markdown

MAX_CACHED_LENGTH = 5_000_000
"""Maximum number of characters of finished answers whose HTML is cached in a process."""


class _RenderedAnswers(dict[str, Markup]):
    """LRU cache of HTML by text."""

    total_length = 0
    """Characters of all texts."""

    def put(self, text: str, html: Markup) -> None:
        self.take(text)  # another request may have rendered it at the same time
        self[text] = html
        self.total_length += len(text)
        while len(self) > 1 and self.total_length > MAX_CACHED_LENGTH:
            self.take(next(iter(self)))

    def take(self, text: str) -> Markup | None:
        self.total_length -= len(text) if text in self else 0
        return self.pop(text, None)


_rendered_answers = _RenderedAnswers()


@dataclass(frozen=True)
class ShownAnswer:
    """An answer with its HTML: finished blocks and, while it grows, the open block.

    Attributes:
        answer: The answer.
        blocks: HTML of finished blocks.
        open: HTML of the last block of a running answer.
    """

    answer: Answer
    blocks: Markup
    open: Markup
    silence_timeout: ClassVar[float] = SILENCE_TIMEOUT_SECONDS
    """Seconds of silence after which the page considers its connection lost."""

    @classmethod
    async def of(cls, answer: Answer) -> Self:
        if not answer.is_running:
            return cls(answer, cite(await _rendered(answer.text), answer.sources), Markup())
        # Rendering a long answer would block the event loop.
        blocks = await markdown.in_thread(lambda: _blocks_of(answer.text))
        finished = Markup("").join(blocks.frozen)
        return cls(answer, cite(finished, answer.sources), cite(blocks.open, answer.sources))

    @property
    def cites(self) -> bool:
        """True if the text cites any of the sources."""
        return bool(find_cited(self.answer.text, self.answer.sources))

    @property
    def sources(self) -> list[dict[str, Any]]:
        """Cited sources with their `number`; all sources if none is cited."""
        return list_sources(self.answer.text, self.answer.sources)


def _blocks_of(text: str) -> MarkdownBlocks:
    blocks = MarkdownBlocks.of(text)
    blocks.render()
    return blocks


async def _rendered(text: str) -> Markup:
    """Render a finished answer, with a cache."""
    html = _rendered_answers.take(text)
    if html is None:
        html = await markdown.in_thread(lambda: markdown.render(text))
    _rendered_answers.put(text, html)
    return html
