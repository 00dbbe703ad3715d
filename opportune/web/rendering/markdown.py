"""Markdown of users and language models, rendered to safe HTML: complete, or block by block while it grows."""

import asyncio
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

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
    rf'|</([ou]l)>\n<\1(?: start="\d+")?{_CONTINUED}>\n',
    re.DOTALL,
)
"""End of a piece and start of the next one, where both belong to one code block, table or list."""

MAX_OPEN_BLOCK_LENGTH = 4_000  # longer open blocks are shown as plain text
MAX_PLAIN_WORD_LENGTH = 60
PARAGRAPH_END = "</p>\n"

# Plain words at the end of a paragraph are appended without parsing, because they cannot start or end any markup.
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|[.,:?!])*")
_WORDS = re.compile(r"(?:[^\W_]|[.,:?! ])*")


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
    return _link_footnotes(render_without_links(text))


async def render_in_thread(text: str, key: str = "") -> Markup:
    """Render a text that may be long, and cache its HTML.

    Args:
        text: Markdown.
        key: Part of the ids of footnotes, for pages that show the same text several times.
    """
    html = _cache.take(text)
    if html is None:
        html = await in_thread(lambda: render_without_links(text))
    _cache.put(text, html)
    return _link_footnotes(html, key)


def in_thread(work: Callable[[], R]) -> "asyncio.Future[R]":
    """Run rendering work in a thread."""
    return asyncio.get_running_loop().run_in_executor(_threads, work)


def render_element(text: str) -> Markup:
    """Return a `<div>` for a template. This is the filter `markdown`, which uses the cache of `render_in_thread`."""
    html = _link_footnotes(_cache.get(text) or render_without_links(text))
    return Markup('<div class="markdown" dir="auto">{}</div>').format(html)


def render_without_links(text: str) -> str:
    """Render Markdown with footnotes that are not linked yet."""
    splitter = Splitter()
    splitter.feed(text)
    splitter.finish()
    return _join(render_piece(piece) for piece in splitter.pieces)


def render_piece(piece: MarkdownPiece) -> Markup:
    """Render a piece of a text, without links of footnotes."""
    html = to_html(piece.source)
    if html is None:
        return preformatted(piece.source)
    if piece.continued:
        html = html.replace(">", f"{_CONTINUED}>", 1)
    return Markup(highlight_code(html) if piece.is_complete else html)  # noqa: S704 - cleaned by to_html


def preformatted(text: str) -> Markup:
    """Return the source text as HTML."""
    return Markup("<pre>{}</pre>\n").format(text)


def join_pieces(pieces: Iterable[Markup]) -> Markup:
    """Join rendered pieces, including code blocks, tables and lists that were split, and link their footnotes."""
    return _link_footnotes(_join(pieces))


def _join(pieces: Iterable[Markup]) -> str:
    return highlight_code(_SEAM.sub("", "".join(pieces)))


def _link_footnotes(html: str, key: str = "") -> Markup:
    return Markup(link_footnotes(html, key))  # noqa: S704 - adds links and numbers to joined pieces


class MarkdownBlocks:
    """Rendered blocks of a growing text.

    The frozen (finished) blocks depend only on the text, so another process gets the same blocks from the stored text.
    A viewer who has received the text up to an offset has the first `MarkdownBlocks.of(text[:offset]).frozen_count`
    blocks.
    """

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._frozen: list[Markup] = []
        self._rendered = MarkdownPiece(""), Markup()
        """The open block that was rendered last, and its HTML."""

    @classmethod
    def of(cls, text: str) -> Self:
        blocks = cls()
        blocks.feed(text)
        return blocks

    def feed(self, text: str) -> None:
        self._splitter.feed(text)

    def finish(self) -> None:
        """Freeze the open block at the end of the text."""
        self._splitter.finish()

    @property
    def frozen_count(self) -> int:
        """Number of finished blocks, without rendering them."""
        return len(self._splitter.pieces)

    @property
    def frozen(self) -> list[Markup]:
        """HTML of the finished blocks. Existing items never change."""
        for piece in self._splitter.pieces[len(self._frozen) :]:
            self._frozen.append(render_piece(piece))
        return self._frozen

    @property
    def open(self) -> Markup:
        """HTML of the unfinished block. Added plain words are appended without rendering it again."""
        piece = self._splitter.open
        if piece != self._rendered[0]:
            if len(piece.source) > MAX_OPEN_BLOCK_LENGTH:
                html = preformatted(piece.source)
            else:
                html = self._append_words(piece) or render_piece(piece)
            self._rendered = piece, html
        return self._rendered[1]

    def _append_words(self, piece: MarkdownPiece) -> Markup | None:
        """Return the last HTML with the added words, or None if the block must be rendered again."""
        rendered, html = self._rendered
        added = piece.source[len(rendered.source) :]
        if not (
            html.endswith(PARAGRAPH_END)
            and rendered.continued == piece.continued
            and piece.source.startswith(rendered.source)
            and _WORDS.fullmatch(added)
            and _ends_with_word(rendered.source)
        ):
            return None
        spaces = rendered.source[len(rendered.source.rstrip(" ")) :]
        appended = f"{spaces}{added}".rstrip(" ")
        return Markup(str(html)[: -len(PARAGRAPH_END)] + appended + PARAGRAPH_END)  # noqa: S704 - letters, digits and punctuation

    @property
    def unrendered_chars(self) -> int:
        """Number of characters that `render` has to process."""
        pieces = self._splitter.pieces[len(self._frozen) :]
        return sum(len(piece.source) for piece in (*pieces, self._splitter.open))

    def render(self) -> None:
        """Render the finished and open blocks."""
        _ = self.frozen, self.open

    @property
    def html(self) -> Markup:
        """HTML of the complete text. After `finish`, it equals `render(text)`."""
        return join_pieces([*self.frozen, self.open])


def _ends_with_word(source: str) -> bool:
    """Return whether the text ends with a short plain word, optionally followed by spaces."""
    tail = source[-MAX_PLAIN_WORD_LENGTH:].rstrip(" ")
    words = [] if tail[-1:].isspace() else tail.rsplit(None, 1)
    is_whole_word = len(words) == 2 or (bool(words) and len(source) <= MAX_PLAIN_WORD_LENGTH)
    return is_whole_word and bool(_WORD.fullmatch(words[-1]))
