"""An answer as pages show it."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from fastapi import Request
from fastapi.responses import Response
from markupsafe import Markup

from opportune.llm.answers.citations import cite, cited, cited_sources
from opportune.llm.answers.live import SILENCE_TIMEOUT_SECONDS
from opportune.llm.answers.models import Answer
from opportune.web import MarkdownBlocks, is_htmx, markdown, redirect, templates

MAX_KEPT_LENGTH = 5_000_000
"""Characters of ended answers whose HTML a process keeps."""


class _RenderedAnswers(dict[str, Markup]):
    """HTML by text, the last that was asked for at the end."""

    length = 0
    """Characters of all the texts: to sum them up each time would take longer than all the rest."""

    def keep(self, text: str, html: Markup) -> None:
        self.take(text)  # two have rendered it at the same time
        self[text] = html
        self.length += len(text)
        while len(self) > 1 and self.length > MAX_KEPT_LENGTH:
            self.take(next(iter(self)))

    def take(self, text: str) -> Markup | None:
        self.length -= len(text) if text in self else 0
        return self.pop(text, None)


_rendered_answers = _RenderedAnswers()


@dataclass(frozen=True)
class ShownAnswer:
    """An answer with its HTML: finished blocks and, while it is written, the open one."""

    answer: Answer
    blocks: Markup
    open: Markup
    silence_timeout: ClassVar[float] = SILENCE_TIMEOUT_SECONDS
    """Seconds without news after which the page takes its connection for dead."""

    @classmethod
    async def of(cls, answer: Answer) -> Self:
        if not answer.is_running:
            return cls(answer, cite(await _rendered(answer.text), answer.sources), Markup())
        # In a thread: a long answer takes long to render, and everybody else would wait.
        blocks = await markdown.in_thread(lambda: _blocks_of(answer.text))
        finished = Markup("").join(blocks.frozen)
        return cls(answer, cite(finished, answer.sources), cite(blocks.open, answer.sources))

    @property
    def cites(self) -> bool:
        """Whether its text cites any of its sources."""
        return bool(cited(self.answer.text, self.answer.sources))

    @property
    def sources(self) -> list[dict[str, Any]]:
        """Those that it cites, with their `number`; all of them where it cites none."""
        return cited_sources(self.answer.text, self.answer.sources)


def _blocks_of(text: str) -> MarkdownBlocks:
    blocks = MarkdownBlocks.of(text)
    blocks.render()
    return blocks


async def _rendered(text: str) -> Markup:
    """An answer that has ended: rendered once, in however long a conversation it is shown."""
    html = _rendered_answers.take(text)
    if html is None:
        html = await markdown.in_thread(lambda: markdown.render(text))
    _rendered_answers.keep(text, html)
    return html


def answer_path(answer: Answer) -> str:
    """Where an answer is shown alone."""
    return f"/answers/{answer.id}"


async def show_answer(request: Request, answer: Answer, page: str = "") -> Response:
    """The response to whoever has asked: the answer in the page that sent it by htmx, else on to `page` that shows it.

    Without a page, on to one of the framework's with the answer alone.
    """
    if not is_htmx(request):
        return redirect(request, page or answer_path(answer))
    context = {"answer": await ShownAnswer.of(answer)}
    return templates.render_block(request, "answers/answer.html", "answer", context)
