"""Parts of an answer between marks, while they are being read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opportune.contrib.llm.providers.marks import ANALYSIS, END_OF_HEADER, ENDS_OF_MESSAGE, Marks
from opportune.contrib.llm.providers.tool_calls import CUT
from opportune.contrib.llm.providers.written_calls import Schema, calls_in

MAX_COLLECTED_LENGTH = 200_000
"""Maximum number of characters of a header or a call."""
STRUCTURE = re.compile(r"\\.?|[\"'{}()\[\]]", re.DOTALL)
"""Escapes, quotes and brackets of a call."""
QUOTES, OPENING_BRACKETS, CLOSING_BRACKETS = "\"'", "{[(", "}])"


@dataclass
class Start:
    """Start of an answer, or of its next part. The next mark is not yet known."""

    is_first: bool = False


@dataclass
class _Written:
    """Part that is returned while it is read.

    Attributes:
        is_blank: True as long as white space is dropped.
    """

    ends: Marks = ()
    is_blank: bool = True

    def add(self, text: str) -> str:
        """Return what a text adds to the part."""
        if self.is_blank:
            text = text.lstrip()
            self.is_blank = not text
        return text


class Text(_Written):
    """Text of the answer."""


@dataclass
class Reasoning(_Written):
    """Reasoning of the model.

    Attributes:
        presumed: The reasoning as text, if it has no opening mark and perhaps is text; else None.
    """

    presumed: str | None = None

    def add(self, text: str) -> str:
        if self.presumed is not None:
            self.presumed += text
        return super().add(text)


@dataclass
class _Collected:
    """Part that is read as a whole."""

    content: str = ""

    def add(self, text: str) -> None:
        self.content = (self.content + text)[:MAX_COLLECTED_LENGTH]


class Header(_Collected):
    """Header of a Harmony message, with its channel and its recipient."""

    ends = (END_OF_HEADER,)

    def message(self) -> "Call | Reasoning | Text":
        """Return the part that follows the header."""
        if recipient := re.search(r"to=[\w.-]+", self.content):
            return Call(recipient[0], ENDS_OF_MESSAGE)
        return Reasoning(ENDS_OF_MESSAGE) if ANALYSIS in self.content else Text(ENDS_OF_MESSAGE)


class Call(_Collected):
    """Text that may contain calls of tools.

    Attributes:
        mark: Its opening mark.
        has_brackets: True if its last bracket ends it, because it has no end mark.
    """

    def __init__(self, mark: str, ends: Marks) -> None:
        super().__init__()
        self.mark = mark
        self.ends = ends
        self._quote = ""  # open quotation mark
        self._depth = sum(map(mark.count, OPENING_BRACKETS))  # number of open brackets
        self.has_brackets = self._depth > 0 and not ends

    def calls(self, tools: Mapping[str, Schema], *, is_cut: bool) -> list[dict[str, Any]]:
        """Return the calls in the text. `is_cut`: the last one is incomplete and must not run."""
        text = self.mark + self.content
        calls = calls_in(text, tools)
        if not is_cut:
            return calls
        names = [call["name"] for call in calls[-1:]] or [name for name in tools if name in text]
        return calls[:-1] + [{"name": name, "arguments": CUT} for name in names[:1]]

    def read_brackets(self, text: str) -> tuple[int, bool]:
        """Return the number of characters that belong to the call, and whether it ends there.

        The next chunk decides about the other characters if it does not end.
        """
        for token in STRUCTURE.finditer(text):
            character, following = token[0], text[token.end() : token.end() + 1]
            is_last = self._depth == 1 and not self._quote and character in CLOSING_BRACKETS
            if character == "\\" or (is_last and not following):
                return token.start(), False
            if is_last and following not in "(;,":  # neither a link nor a list of calls
                return token.end(), True
            self._count(character)
        return len(text), False

    def _count(self, character: str) -> None:
        if self._quote:
            self._quote = "" if character == self._quote else self._quote
        elif character in QUOTES:
            self._quote = character
        elif character in OPENING_BRACKETS:
            self._depth += 1
        elif character in CLOSING_BRACKETS:
            self._depth -= 1


Part = Start | Text | Reasoning | Header | Call
