"""HTML blocks of Markdown while it is being written: each finished one is rendered, sent and frozen once."""

from typing import Self

from markupsafe import Markup

from opportune.web.rendering import markdown, markdown_blocks

MAX_OPEN_BLOCK_LENGTH = 4_000  # what is open is shown as it was written from this length on


class MarkdownBlocks:
    """The blocks of a text that is fed in parts.

    Which blocks are frozen depends on the text alone, so another process, or the same one after a reload, has the same
    blocks under the same numbers when it starts again from the stored text. A viewer who was sent everything up to a
    character offset has the first `MarkdownBlocks.of(text[:offset]).frozen_count` of them.
    """

    def __init__(self) -> None:
        self._splitter = markdown_blocks.Splitter()
        self._frozen: list[Markup] = []
        self._open: Markup | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        blocks = cls()
        blocks.feed(text)
        return blocks

    def feed(self, text: str) -> None:
        self._splitter.feed(text)
        self._open = None

    def finish(self) -> None:
        """Freeze what is open: the answer has ended."""
        self._splitter.finish()
        self._open = None

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
        """The unfinished block; rendered anew whenever it has grown, so its cost is bounded."""
        if self._open is None:
            piece = self._splitter.open
            is_long = len(piece.source) > MAX_OPEN_BLOCK_LENGTH
            self._open = markdown.plain(piece.source) if is_long else markdown.render_piece(piece)
        return self._open

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
