"""Splitting of streamed Markdown into pieces that can be parsed separately."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from opportune.schemas.text import UNSTORABLE
from opportune.web.rendering.markdown_parser import last_block

MAX_BLOCK_CHARS = 1_000  # longer tables are split
MAX_FENCE_CHARS = 2_000  # longer fences are split, and highlighted after joining
MAX_LIST_CHARS = 2_000  # longer lists are split at an item
MAX_PIECE_CHARS = 10_000  # longer pieces end at the next line end, and longer lines are split, if possible at a space
MIN_SPLIT_CHARS = MAX_PIECE_CHARS // 2

_LINE = re.compile(
    rf"[^\n]{{0,{MAX_PIECE_CHARS - 1}}}\n"
    rf"|(?=[^\n]{{{MAX_PIECE_CHARS}}})(?:[^\n]{{{MIN_SPLIT_CHARS},{MAX_PIECE_CHARS - 1}}} |[^\n]{{{MAX_PIECE_CHARS}}})"
)
_RETURN = re.compile(r"\r\n?")
_FENCE = re.compile(r"`{3,}[^`\n]*\n|~{3,}[^\n]*\n")
_HEADING = re.compile(r"#{1,6}[ \t\n]")
_ITEM = re.compile(r"(?:[-+*]|\d{1,9}[.)])[ \t\n]")
# The rest of the line may not have arrived yet, so these only match if it cannot change the result.
_NOT_INDENTED = re.compile(r"[^ \t\n]")
_NOT_INDENTED_NOR_ITEM = re.compile(r"(?![-+*](?:[ \t\n]|\Z)|\d{1,9}(?:[.)](?:[ \t\n]|\Z)|\Z))[^ \t\n]")


class MarkdownPiece(NamedTuple):
    """One or more Markdown blocks."""

    source: str
    continued: bool = False
    """Whether the first block continues the last block of the previous piece."""
    is_complete: bool = True
    """False if the last block may continue in the next piece."""


class _Fence(NamedTuple):
    opening: str
    """First line, which each part repeats."""
    end: re.Pattern[str]


@dataclass
class _OpenPiece:
    """Lines of the unfinished piece."""

    lines: list[str] = field(default_factory=list)
    size: int = 0
    """Characters of the lines."""
    prefix: str = ""
    """Repeated from the previous piece: opening line of a fence, head of a table."""
    continued: bool = False
    fence: _Fence | None = None
    """Fence that is open after the last line."""
    may_have_list: bool = False
    next_parse_size: int = MAX_BLOCK_CHARS
    list_split_size: int = MAX_LIST_CHARS

    @property
    def source(self) -> str:
        return self.prefix + "".join(self.lines)

    def append(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line)
        self.may_have_list = self.may_have_list or bool(_ITEM.match(line.lstrip(" \t")))

    def is_ended_by(self, line: str) -> bool:
        """Return whether this line, or beginning of a line, certainly starts another block."""
        after_empty = not self.lines[-1].strip(" \t\n")
        certain_start = _NOT_INDENTED_NOR_ITEM if self.may_have_list else _NOT_INDENTED
        return bool((after_empty and certain_start.match(line)) or _HEADING.match(line) or _FENCE.match(line))


class Splitter:
    """Splits streamed Markdown into pieces, independently of the chunks in which it arrives.

    A piece ends where CommonMark must start a new top-level block: at an unindented line after an empty one (unless it
    may continue a list), at a heading, and at both ends of a code fence. Long fences, tables and lists are split, and
    can be joined again, but whether a list is loose or tight is decided per piece. Other pieces end at
    `MAX_PIECE_CHARS`. The parser only runs at a possible end of a piece, and after a piece has doubled its size, so the
    work is linear.
    """

    def __init__(self) -> None:
        self.pieces: list[MarkdownPiece] = []
        self._trailing_return = ""  # "\r" at the end of the last chunk: "\n" may follow in the next chunk
        self._unfinished_line = ""
        self._piece = _OpenPiece()

    def feed(self, text: str) -> None:
        text = self._trailing_return + text
        self._trailing_return = "\r" if text.endswith("\r") else ""
        text = _RETURN.sub("\n", text.removesuffix("\r"))
        text = self._unfinished_line + UNSTORABLE.sub("\ufffd", text)
        end = 0
        while line := _LINE.match(text, end):
            self._add_line(line[0])
            end = line.end()
        self._unfinished_line = text[end:]
        if self._unfinished_line:
            self._end_before(self._unfinished_line)

    def finish(self) -> None:
        """End the text. The open block becomes the last piece."""
        if self._trailing_return:
            self.feed("\n")
        if self._unfinished_line:
            self._add_line(self._unfinished_line)
            self._unfinished_line = ""
        self._end_piece()

    @property
    def open_piece(self) -> MarkdownPiece:
        source = self._piece.source + self._unfinished_line
        return MarkdownPiece(source, self._piece.continued, is_complete=False)

    def _add_line(self, line: str) -> None:
        self._end_before(line)
        piece = self._piece
        if not piece.lines and not line.strip(" \t\n"):
            return
        piece.append(line)
        is_cut = len(line) > MIN_SPLIT_CHARS and not line.endswith("\n")
        if piece.fence:
            self._end_code_after(line, piece.fence)
        elif is_cut or piece.size >= MAX_PIECE_CHARS:
            self._end_piece(continued=is_cut)
        elif piece.size >= piece.next_parse_size:
            piece.next_parse_size *= 2
            self._split_open_block()

    def _end_code_after(self, line: str, fence: _Fence) -> None:
        if fence.end.match(line):
            self._end_piece()
        elif self._piece.size >= MAX_FENCE_CHARS:
            self._split_before_last_line(fence.opening)
            self._piece.fence = fence

    def _end_before(self, line: str) -> None:
        """End the piece if this line, or beginning of a line, certainly starts another block."""
        piece = self._piece
        if not piece.lines or piece.fence:
            return
        if piece.is_ended_by(line):
            self._split_open_block()
            if not self._piece.fence:
                self._end_piece()
        elif piece.size >= piece.list_split_size and (item := _ITEM.match(line)):
            self._end_before_item(item[0].rstrip()[-1])

    def _end_before_item(self, marker: str) -> None:
        block, _, _ = last_block(self._piece.source)
        if block.type in {"bullet_list_open", "ordered_list_open"}:
            self._end_piece(continued=block.markup == marker)
        else:
            self._piece.list_split_size = 2 * self._piece.size

    def _split_open_block(self) -> None:
        """Parse the piece to find an open fence at its end, or a long table, which is split."""
        piece = self._piece
        source = piece.source
        if "```" not in source and "~~~" not in source and "|" not in source:
            return
        lines = source.split("\n")
        block, first, end = last_block(source)
        if block.type == "fence":
            fence_end = re.compile(rf" {{0,3}}{block.markup[0]}{{{len(block.markup)},}}[ \t]*$")
            if end - 1 == first or not fence_end.match(lines[end - 1]):
                piece.fence = _Fence(f"{lines[first]}\n", fence_end)
        elif block.type == "table_open" and end == len(lines) - 1 and end - first > 3 and piece.size >= MAX_BLOCK_CHARS:
            head = lines[first : first + 2]
            self._split_before_last_line("\n".join(head) + "\n")

    def _end_piece(self, *, continued: bool = False, is_complete: bool = True) -> None:
        piece = self._piece
        if piece.lines:
            self.pieces.append(MarkdownPiece(piece.source, piece.continued, is_complete))
        self._piece = _OpenPiece(continued=continued)

    def _split_before_last_line(self, prefix: str) -> None:
        """End the piece, and start the next one with its last line."""
        last = self._piece.lines.pop()
        self._end_piece(is_complete=False)
        self._piece = _OpenPiece([last], len(last), prefix, continued=True)
