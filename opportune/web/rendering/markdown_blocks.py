"""Cuts Markdown into pieces that can be parsed one by one, as the text arrives."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from opportune.web.rendering.markdown_parser import last_block

MAX_BLOCK_CHARS = 1_000  # a table longer than this is continued in another piece
MAX_FENCE_CHARS = 2_000  # a code fence longer than this is, too, and has its colours only when all is joined
MAX_LIST_CHARS = 2_000  # a longer list is continued in another piece, at an item
MAX_PIECE_CHARS = 10_000  # from this length on a piece ends wherever its line does, and a line of it counts as ended

_LINE = re.compile(rf"[^\n]{{0,{MAX_PIECE_CHARS - 1}}}\n|[^\n]{{{MAX_PIECE_CHARS}}}")
_RETURN = re.compile(r"\r\n?")
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
_FENCE = re.compile(r"`{3,}[^`\n]*\n|~{3,}[^\n]*\n")
_HEADING = re.compile(r"#{1,6}[ \t\n]")
_ITEM = re.compile(r"(?:[-+*]|\d{1,9}[.)])[ \t\n]")
# True of the beginning of a line only when it stays true whatever the line goes on with.
_NOT_INDENTED = re.compile(r"[^ \t\n]")
_NOT_INDENTED_NOR_ITEM = re.compile(r"(?![-+*](?:[ \t\n]|\Z)|\d{1,9}(?:[.)](?:[ \t\n]|\Z)|\Z))[^ \t\n]")


@dataclass(frozen=True)
class MarkdownPiece:
    """Markdown of whole blocks; `continued` if its first block goes on with the last one of the piece before."""

    source: str
    continued: bool = False
    is_whole: bool = True
    """False where its last block goes on in the next piece, or may."""


class Splitter:
    """Splits Markdown that is fed in parts into pieces.

    The pieces depend on the text alone, not on how it was cut into parts. A piece ends where CommonMark cannot but
    start a new block at the top level: at a line that is not indented after an empty one (unless it may go on with a
    list), at a heading, and at either end of a code fence. What is long ends earlier: fences, tables and lists so that
    they can be joined again (only which items of a long list have paragraphs is decided for each piece), anything else
    at `MAX_PIECE_CHARS`. A piece is parsed only in doubt, and then it ends or is left until it is twice as long: the
    work is linear in the length of the text.
    """

    def __init__(self) -> None:
        self.pieces: list[MarkdownPiece] = []
        self._return = ""  # a trailing "\r", which a "\n" may follow
        self._partial = ""  # the line that has not ended
        self._start()

    def feed(self, text: str) -> None:
        text = self._return + text
        self._return = "\r" if text.endswith("\r") else ""
        text = _RETURN.sub("\n", text[:-1] if self._return else text)
        text = self._partial + _UNSTORABLE.sub("\ufffd", text)
        end = 0
        while line := _LINE.match(text, end):
            self._take(line[0])
            end = line.end()
        self._partial = text[end:]
        if self._partial:
            self._end_before(self._partial)

    def finish(self) -> None:
        """The text is whole: what is open becomes the last piece."""
        if self._return:
            self.feed("\n")
        if self._partial:
            self._take(self._partial)
            self._partial = ""
        self._cut()

    @property
    def open(self) -> MarkdownPiece:
        """What no piece holds yet."""
        return MarkdownPiece(self._source + self._partial, self._continued, is_whole=False)

    @property
    def _source(self) -> str:
        return self._prefix + "".join(self._lines)

    def _start(self, prefix: str = "", lines: Iterable[str] = (), *, continued: bool = False) -> None:
        self._prefix = prefix  # repeated from the piece before: the opening line of a fence, the head of a table
        self._continued = continued
        self._lines = list(lines)
        self._size = sum(map(len, self._lines))
        self._look_at = MAX_BLOCK_CHARS  # the length at which to look what the piece ends in
        self._long = MAX_LIST_CHARS  # the length from which on a list is continued in another piece
        self._listed = False  # a list may be open
        self._fence_end: re.Pattern[str] | None = None

    def _take(self, line: str) -> None:
        if self._fence_end is None:
            self._end_before(line)
        if not self._lines and not line.strip(" \t\n"):
            return
        self._lines.append(line)
        self._size += len(line)
        self._listed = self._listed or bool(_ITEM.match(line.lstrip(" \t")))
        if self._fence_end is not None:
            self._take_code(self._fence_end, line)
        elif self._size >= MAX_PIECE_CHARS:
            self._cut()
        elif self._size >= self._look_at:
            self._look_at *= 2
            self._look()

    def _take_code(self, fence_end: re.Pattern[str], line: str) -> None:
        if fence_end.match(line):
            self._cut()
        elif self._size >= MAX_FENCE_CHARS:
            self._continue(self._opening)
            self._fence_end = fence_end

    def _end_before(self, line: str) -> None:
        """Ends the piece if the line, of which this is at least the beginning, is sure to start another."""
        if not self._lines or self._fence_end is not None:
            return
        if self._is_start(line):
            self._look()
            if self._fence_end is None:
                self._cut()
        elif self._size >= self._long and (item := _ITEM.match(line)):
            self._end_before_item(item[0].rstrip()[-1])

    def _end_before_item(self, marker: str) -> None:
        block, _, _ = last_block(self._source)
        if block.type in {"bullet_list_open", "ordered_list_open"}:
            self._cut(continued=block.markup == marker)
        else:
            self._long = 2 * self._size

    def _is_start(self, line: str) -> bool:
        after_empty = not self._lines[-1].strip(" \t\n")
        unmistakable = _NOT_INDENTED_NOR_ITEM if self._listed else _NOT_INDENTED
        return bool((after_empty and unmistakable.match(line)) or _HEADING.match(line) or _FENCE.match(line))

    def _look(self) -> None:
        """Finds out whether the piece ends in an open fence, or in a table that has become long."""
        source = self._source
        if "```" not in source and "~~~" not in source and "|" not in source:
            return
        lines = source.split("\n")
        block, first, end = last_block(source)
        if block.type == "fence":
            fence_end = re.compile(rf" {{0,3}}{block.markup[0]}{{{len(block.markup)},}}[ \t]*$")
            if end - 1 == first or not fence_end.match(lines[end - 1]):
                self._fence_end = fence_end
                self._opening = lines[first] + "\n"
        elif block.type == "table_open" and end == len(lines) - 1 and end - first > 3 and self._size >= MAX_BLOCK_CHARS:
            self._continue("\n".join(lines[first : first + 2]) + "\n")

    def _cut(self, *, continued: bool = False, is_whole: bool = True) -> None:
        if self._lines:
            self.pieces.append(MarkdownPiece(self._source, self._continued, is_whole))
        self._start(continued=continued)

    def _continue(self, prefix: str) -> None:
        """Ends the piece before its last line, which is left for the next one so that it is never empty."""
        last = self._lines.pop()
        self._cut(is_whole=False)
        self._start(prefix, [last], continued=True)
