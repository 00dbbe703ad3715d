"""Markdown that grows, rendered block by block, such as an answer of a language model."""

import re
from typing import Self

from markupsafe import Markup

from opportune.web.rendering.markdown import join_pieces, render_piece, render_preformatted
from opportune.web.rendering.markdown_blocks import MarkdownPiece, Splitter

MAX_OPEN_BLOCK_LENGTH = 4_000
"""Text that is added to a longer open block is shown without markup."""
MAX_PLAIN_WORD_LENGTH = 60
PARAGRAPH_END = Markup("</p>\n")

# Plain words at the end of a paragraph are appended without parsing, because they cannot start or end any markup.
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|[.,:?!])*")
_WORDS = re.compile(r"(?:[^\W_]|[.,:?! ])*")


class MarkdownBlocks:
    """Rendered blocks of a growing text.

    The frozen (finished) blocks depend only on the text, so another process gets the same blocks from the stored text.
    A viewer who has received the text up to an offset has the first `MarkdownBlocks.of(text[:offset]).frozen_count`
    blocks.
    """

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._frozen: list[Markup] = []
        self._rendered_piece = MarkdownPiece("")
        """The open block that was rendered last."""
        self._open_html = Markup()

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
        self._render_frozen()
        return self._frozen

    @property
    def open(self) -> Markup:
        """HTML of the unfinished block."""
        self._render_open()
        return self._open_html

    def render(self) -> None:
        """Render the blocks that have changed, so that reading their HTML takes no time."""
        self._render_frozen()
        self._render_open()

    def _render_frozen(self) -> None:
        self._frozen.extend(map(render_piece, self._splitter.pieces[len(self._frozen) :]))

    def _render_open(self) -> None:
        """Render the unfinished block. Some texts are appended to a paragraph without rendering it again.

        These are plain words, and all texts in a long block, whose markup is rendered when the block is finished.
        """
        piece, rendered = self._splitter.open_piece, self._rendered_piece
        if piece == rendered:
            return
        is_same = bool(rendered.source) and piece.continued == rendered.continued
        has_grown = is_same and piece.source.startswith(rendered.source)
        is_long = has_grown and len(piece.source) > MAX_OPEN_BLOCK_LENGTH
        is_plain = is_long or (has_grown and _adds_plain_words(rendered.source, piece.source))
        if is_plain and self._open_html.endswith(PARAGRAPH_END):
            written = rendered.source.rstrip()
            added = piece.source[len(written) :].rstrip()
            self._open_html = self._open_html[: -len(PARAGRAPH_END)] + added + PARAGRAPH_END
        else:
            self._open_html = render_preformatted(piece.source) if is_long else render_piece(piece)
        self._rendered_piece = piece

    @property
    def unrendered_chars(self) -> int:
        """Number of characters that `render` has to process."""
        pieces = self._splitter.pieces[len(self._frozen) :]
        return sum(len(piece.source) for piece in (*pieces, self._splitter.open_piece))

    @property
    def html(self) -> Markup:
        """HTML of the complete text. After `finish`, it equals `render(text)`."""
        return join_pieces([*self.frozen, self.open])


def _adds_plain_words(before: str, source: str) -> bool:
    """Return whether a text has grown by plain words after a plain word."""
    return bool(_WORDS.fullmatch(source, len(before))) and _ends_with_word(before)


def _ends_with_word(source: str) -> bool:
    """Return whether the text ends with a short plain word, optionally followed by spaces."""
    tail = source[-MAX_PLAIN_WORD_LENGTH:].rstrip(" ")
    words = [] if tail[-1:].isspace() else tail.rsplit(None, 1)
    is_whole_word = len(words) == 2 or (bool(words) and len(source) <= MAX_PLAIN_WORD_LENGTH)
    return is_whole_word and bool(_WORD.fullmatch(words[-1]))
