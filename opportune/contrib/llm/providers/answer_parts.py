"""Parts of an answer between marks, while they are being read."""

import re
from dataclasses import dataclass
from typing import Literal

from opportune.contrib.llm.providers.marks import ANALYSIS, ENDS_OF_MESSAGE, Marks

MAX_COLLECTED_LENGTH = 200_000
"""Maximum number of characters of a header or a call."""
STRUCTURE = re.compile(r"\\.?|[\"'{}()\[\]]", re.DOTALL)
"""Escapes, quotes and brackets of a call."""
QUOTES, OPENING_BRACKETS, CLOSING_BRACKETS = "\"'", "{[(", "}])"
RECIPIENT = re.compile(r"to=[\w.-]+")
"""Tool that a Harmony message calls, in its header."""


@dataclass
class Part:
    """A part of an answer.

    Attributes:
        kind: `beginning` of the answer and `gap` after a part: the next mark is not yet known. Text and thoughts are
            returned while they are read; headers of Harmony messages, and texts with calls, are read as a whole.
        ends: Marks that end it.
        mark: Its opening mark.
        content: The header or the call, or the text of a thought without opening mark, which perhaps is text.
        is_whole: True for a call whose mark is also part of its text, such as a JSON object.
        is_presumed: True for a thought without opening mark.
        is_blank: True as long as white space is dropped.
        brackets: Brackets of a call without end mark.
    """

    kind: Literal["beginning", "gap", "text", "thought", "header", "call"]
    ends: Marks = ()
    mark: str = ""
    content: str = ""
    is_whole: bool = False
    is_presumed: bool = False
    is_blank: bool = True
    brackets: "Brackets | None" = None

    def add(self, text: str) -> str:
        """Add a text and return the part that readers see."""
        is_collected = self.kind in ("header", "call")
        if is_collected or self.is_presumed:
            self.content = (self.content + text)[:MAX_COLLECTED_LENGTH]
        if is_collected:
            return ""
        if self.is_blank:
            text = text.lstrip()
            self.is_blank = not text
        return text


def call_part(mark: str, ends: Marks, *, is_whole: bool = False) -> Part:
    """Return a part that may contain calls. The last bracket ends it, if no mark does."""
    depth = sum(map(mark.count, OPENING_BRACKETS))
    return Part("call", ends, mark, is_whole=is_whole, brackets=Brackets(depth) if depth and not ends else None)


def part_after(header: Part) -> Part:
    """Return the part that follows the header of a Harmony message: a call, or a message in its channel."""
    if recipient := RECIPIENT.search(header.content):
        return call_part(recipient[0], ENDS_OF_MESSAGE)
    return Part("thought" if ANALYSIS in header.content else "text", ENDS_OF_MESSAGE)


class Brackets:
    """Brackets and quotation marks of a call that are still open."""

    def __init__(self, depth: int) -> None:
        """`depth`: number of brackets that the mark of the call opens."""
        self._depth = depth
        self._quote = ""

    def read(self, text: str) -> tuple[int, bool]:
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
            if character == self._quote:
                self._quote = ""
            elif not self._quote and character in QUOTES:
                self._quote = character
            elif not self._quote:
                self._depth += (character in OPENING_BRACKETS) - (character in CLOSING_BRACKETS)
        return len(text), False
