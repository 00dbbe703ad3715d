"""HTML blocks of Markdown while it is being written: each finished one is rendered, sent and frozen once."""

import re
from typing import Self

from markupsafe import Markup

from opportune.web.rendering import markdown, markdown_blocks

MAX_OPEN_BLOCK_LENGTH = 4_000  # what is open is shown as it was written from this length on
MAX_PLAIN_WORD_LENGTH = 60
PARAGRAPH_END = "</p>\n"

# Most of an answer is words after words, and Markdown is asked only when there is more: neither of these can be the
# beginning or the end of anything but text, where a paragraph goes on.
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|[.,:?!])*")
_WORDS = re.compile(r"(?:[^\W_]|[.,:?! ])*")


class MarkdownBlocks:
    """The blocks of a text that is fed in parts.

    Which blocks are frozen depends on the text alone, so another process, or the same one after a reload, has the same
    blocks under the same numbers when it starts again from the stored text. A viewer who was sent everything up to a
    character offset has the first `MarkdownBlocks.of(text[:offset]).frozen_count` of them.
    """

    def __init__(self) -> None:
        self._splitter = markdown_blocks.Splitter()
        self._frozen: list[Markup] = []
        self._rendered = markdown_blocks.MarkdownPiece(""), Markup()
        """The open block as it was last rendered."""

    @classmethod
    def of(cls, text: str) -> Self:
        blocks = cls()
        blocks.feed(text)
        return blocks

    def feed(self, text: str) -> None:
        self._splitter.feed(text)

    def finish(self) -> None:
        """Freeze what is open: the answer has ended."""
        self._splitter.finish()

    @property
    def frozen_count(self) -> int:
        """How many blocks are finished. Costs no rendering."""
        return len(self._splitter.pieces)

    @property
    def frozen(self) -> list[Markup]:
        """The finished blocks. The list grows at its end; what is in it never changes."""
        for piece in self._splitter.pieces[len(self._frozen) :]:
            self._frozen.append(markdown.render_piece(piece))
        return self._frozen

    @property
    def open(self) -> Markup:
        """The unfinished block; rendered anew whenever more than words was added, so its cost is bounded."""
        piece = self._splitter.open
        if piece != self._rendered[0]:
            is_long = len(piece.source) > MAX_OPEN_BLOCK_LENGTH
            html = markdown.plain(piece.source) if is_long else self._grown(piece) or markdown.render_piece(piece)
            self._rendered = piece, html
        return self._rendered[1]

    def _grown(self, piece: markdown_blocks.MarkdownPiece) -> Markup | None:
        """The open block as it was with the words that were added; None where that is not all."""
        before, html = self._rendered
        added = piece.source[len(before.source) :]
        if not (
            html.endswith(PARAGRAPH_END)
            and before.continued == piece.continued
            and piece.source.startswith(before.source)
            and _WORDS.fullmatch(added)
            and _ends_in_a_word(before.source)
        ):
            return None
        spaces = before.source[len(before.source.rstrip(" ")) :]
        grown = f"{spaces}{added}".rstrip(" ")
        return Markup(str(html)[: -len(PARAGRAPH_END)] + grown + PARAGRAPH_END)  # noqa: S704 - letters, digits and stops

    @property
    def waiting(self) -> int:
        """Characters that `render` has to do."""
        new = self._splitter.pieces[len(self._frozen) :]
        return sum(len(piece.source) for piece in (*new, self._splitter.open))

    def render(self) -> None:
        """Have `frozen` and `open` ready."""
        _ = self.frozen, self.open

    @property
    def whole(self) -> Markup:
        """Everything at once; after `finish`, what `render` makes of the text."""
        return markdown.join([*self.frozen, self.open])


def _ends_in_a_word(source: str) -> bool:
    """Whether the last word of it, which spaces may follow, has begun not long ago and has nothing else in it."""
    tail = source[-MAX_PLAIN_WORD_LENGTH:].rstrip(" ")
    words = [] if tail[-1:].isspace() else tail.rsplit(None, 1)
    return (len(words) == 2 or len(source) <= MAX_PLAIN_WORD_LENGTH) and bool(words and _WORD.fullmatch(words[-1]))
