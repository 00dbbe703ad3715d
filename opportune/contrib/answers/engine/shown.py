"""Answers with their HTML, for templates."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from markupsafe import Markup

from opportune.contrib.answers.engine.citations import cite, find_cited, list_sources
from opportune.contrib.answers.models import Answer
from opportune.web import MarkdownBlocks, markdown

SILENCE_TIMEOUT_SECONDS = 40.0
"""Seconds of silence (two missing heartbeats) after which a page considers its connection lost."""


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
            html = await markdown.render_in_thread(answer.text, f"{answer.id}")
            return cls(answer, cite(html, answer.sources), Markup())
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
