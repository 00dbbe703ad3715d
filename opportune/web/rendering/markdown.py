"""Markdown of users and language models, rendered to safe HTML."""

import asyncio
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from markupsafe import Markup

from opportune.web.rendering.code_colours import highlight_code
from opportune.web.rendering.footnotes import link_footnotes
from opportune.web.rendering.markdown_blocks import MarkdownPiece, Splitter
from opportune.web.rendering.markdown_parser import to_html

MAX_CACHED_LENGTH = 5_000_000
"""Maximum number of characters of the texts whose HTML is cached in a process."""
MAX_RENDERING_THREADS = 2
"""More threads would not be faster, because of the GIL, and would delay requests."""
R = TypeVar("R")
_threads = ThreadPoolExecutor(MAX_RENDERING_THREADS, "markdown")
_CONTINUED = " data-continued"
_SEAM = re.compile(
    rf"</code></pre>\n<pre{_CONTINUED}><code[^>]*>"
    rf'|</tbody>\n</table></div>\n<div class="table-responsive" tabindex="0"{_CONTINUED}>.*?</thead>\n<tbody>\n'
    rf'|</([ou]l)>\n<\1(?: start="\d+")?{_CONTINUED}>\n'
    rf"|</p>(\n)<p{_CONTINUED}>",
    re.DOTALL,
)
"""End of a piece and start of the next one, where both belong to one code block, table, list or paragraph."""


class HtmlCache(dict[str, str]):
    """LRU cache of HTML by text. The links of footnotes are added after it, because their ids differ by page."""

    total_length = 0
    """Characters of all texts."""

    def put(self, text: str, html: str) -> None:
        self.take(text)  # another request may have rendered it at the same time
        self[text] = html
        self.total_length += len(text)
        while len(self) > 1 and self.total_length > MAX_CACHED_LENGTH:
            self.take(next(iter(self)))

    def take(self, text: str) -> str | None:
        if text in self:
            self.total_length -= len(text)
        return self.pop(text, None)


_cache = HtmlCache()


def render(text: str) -> Markup:
    """Render Markdown. Unsupported markup is shown as text."""
    return _link_footnotes(render_without_footnote_links(text))


async def render_in_thread(text: str, key: str = "") -> Markup:
    """Render a text that may be long, and cache its HTML.

    Args:
        text: Markdown.
        key: Part of the ids of footnotes, for pages that show the same text several times.
    """
    html = _cache.take(text)
    if html is None:
        html = await in_thread(lambda: render_without_footnote_links(text))
    _cache.put(text, html)
    return _link_footnotes(html, key)


def in_thread(work: Callable[[], R]) -> "asyncio.Future[R]":
    """Run rendering work in a thread."""
    return asyncio.get_running_loop().run_in_executor(_threads, work)


def render_element(text: str) -> Markup:
    """Return a `<div>` for a template. This is the filter `markdown`, which uses the cache of `render_in_thread`."""
    html = _link_footnotes(_cache.get(text) or render_without_footnote_links(text))
    return Markup('<div class="markdown" dir="auto">{}</div>').format(html)


async def render_element_in_thread(text: str) -> Markup:
    """Return a `<div>` for a text of a row, which may be long."""
    await render_in_thread(text)
    return render_element(text)


def render_without_footnote_links(text: str) -> str:
    """Render Markdown. `_link_footnotes` numbers and links its footnotes."""
    splitter = Splitter()
    splitter.feed(text)
    splitter.finish()
    return _join(render_piece(piece) for piece in splitter.pieces)


def render_piece(piece: MarkdownPiece) -> Markup:
    """Render a piece of a text, without links between footnotes."""
    html = to_html(piece.source)
    if html is None:
        return render_preformatted(piece.source)
    if piece.continued:
        html = html.replace(">", f"{_CONTINUED}>", 1)
    return Markup(highlight_code(html) if piece.is_complete else html)  # noqa: S704 - cleaned by to_html


def render_preformatted(text: str) -> Markup:
    """Return the source text as HTML."""
    return Markup("<pre>{}</pre>\n").format(text)


def join_pieces(pieces: Iterable[Markup]) -> Markup:
    """Join rendered pieces, including code blocks, tables and lists that were split, and link their footnotes."""
    return _link_footnotes(_join(pieces))


def _join(pieces: Iterable[Markup]) -> str:
    return highlight_code(_SEAM.sub(r"\2", "".join(pieces)))


def _link_footnotes(html: str, key: str = "") -> Markup:
    return Markup(link_footnotes(html, key))  # noqa: S704 - adds links and numbers to joined pieces
