"""Reader that separates reasoning and calls from the text of an answer by their marks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from opportune.contrib.llm.providers import marks as table
from opportune.contrib.llm.providers.written_calls import Schema, calls_in

MARK_IN_TEXT = re.compile(r"[<\[\]{]")
"""First characters of marks that may follow a text."""
MAX_LEADING_SPACE = 100
"""Maximum number of white space characters before the opening mark."""
MAX_COLLECTED_LENGTH = 200_000
"""Maximum number of characters of a header or a call."""
STRUCTURE = re.compile(r"\\.?|[\"'{}()\[\]]", re.DOTALL)
"""Escapes, quotes and brackets of a call."""
QUOTES = "\"'"
OPENING_BRACKETS = "{[("
CLOSING_BRACKETS = "}])"
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
    ends: table.Marks = ()
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


def call_part(mark: str, ends: table.Marks, *, is_whole: bool = False) -> Part:
    """Return a part that may contain calls. The last bracket ends it, if no mark does."""
    depth = sum(map(mark.count, OPENING_BRACKETS))
    return Part("call", ends, mark, is_whole=is_whole, brackets=Brackets(depth) if depth and not ends else None)


def part_after(header: Part) -> Part:
    """Return the part that follows the header of a Harmony message: a call, or a message in its channel."""
    if recipient := RECIPIENT.search(header.content):
        return call_part(recipient[0], table.ENDS_OF_MESSAGE)
    return Part("thought" if table.ANALYSIS in header.content else "text", table.ENDS_OF_MESSAGE)


class Brackets:
    """Brackets and quotation marks of a call that are still open."""

    def __init__(self, depth: int) -> None:
        """`depth`: number of brackets that the mark of the call opens."""
        self.is_closed = False
        self._depth = depth
        self._quote = ""

    def read(self, text: str) -> int:
        """Return the number of characters that belong to the call, and set `is_closed` if it ends there.

        The next chunk decides about the other characters if it does not end.
        """
        for token in STRUCTURE.finditer(text):
            character = token[0]
            following = text[token.end() : token.end() + 1]
            is_last = self._depth == 1 and not self._quote and character in CLOSING_BRACKETS
            if character == "\\" or (is_last and not following):
                return token.start()
            if is_last and following not in "(;,":  # neither a link nor a list of calls
                self.is_closed = True
                return token.end()
            if character == self._quote:
                self._quote = ""
            elif not self._quote and character in QUOTES:
                self._quote = character
            elif not self._quote:
                self._depth += (character in OPENING_BRACKETS) - (character in CLOSING_BRACKETS)
        return len(text)


@dataclass
class PromptTemplate:
    """Template of a model's prompts. It opens the reasoning if the last answer had only the closing tag."""

    opens_reasoning: bool = False


class Separated(NamedTuple):
    """An addition to an answer, without marks."""

    reasoning: str
    text: str


class MarkReader:
    """Separates reasoning and calls from the text of one answer. Chunks may split a mark anywhere."""

    def __init__(self, tools: Mapping[str, Schema] | None = None, template: PromptTemplate | None = None) -> None:
        """`tools`: Schemas of the arguments by name. None if any name may be called."""
        self.calls: list[dict[str, Any]] = []  # written by the model as text
        self.template = template or PromptTemplate()  # shared by answers
        self._tools = tools or {}
        self._marks = table.OfferedMarks(tools)
        self._part = Part("beginning")
        self._pending = ""  # not yet read; perhaps the beginning of a mark
        self._is_last = False  # nothing follows
        self._reasoning = ""  # to be returned
        self._text = ""
        self._last_text = ""
        self._closing_tag: str | None = None  # of the tag around the answer
        self._backticks = 0  # in the text. An odd number means that a quotation of code is open.

    def feed(self, content: str) -> Separated:
        """Return the reasoning and the text added by a chunk."""
        part = self._part
        is_plain = part.kind == "text" and not (part.ends or part.is_blank or self._pending)
        if is_plain and not MARK_IN_TEXT.search(content):
            self._add_text(content)
            return self._take()
        self._pending += content
        self._read_parts()
        return self._take()

    def finish(self, *, is_cut: bool = False) -> Separated:
        """Return the reasoning and the text that were held back. `is_cut`: the answer is incomplete."""
        self._is_last = True
        self._read_parts()
        part = self._part
        if part.kind == "call":
            part.add(self._pending)
            self._end_call(part, is_cut=is_cut)
        elif part.is_presumed:  # the whole answer is text
            self.template.opens_reasoning = False
            return Separated("", part.content)
        return self._take()

    def read_calls(self, text: str) -> None:
        """Add the calls in another text, such as reasoning: some models do not end their thoughts before a call."""
        marks = (*self._marks.in_text, *self._marks.whole_calls)
        found = table.pattern_of(marks, self._marks.call_object).search(text)
        if self._tools and found:
            self.calls += calls_in(text[found.start() :], self._tools, is_marked=found[0] in table.CALLS)

    def _take(self) -> Separated:
        added = Separated(self._reasoning, self._text)
        self._reasoning = self._text = ""
        return added

    def _read_parts(self) -> None:
        while next_part := self._read_part(self._part):
            self._part = next_part

    def _read_part(self, part: Part) -> Part | None:
        """Return the next part, or None if more content is needed."""
        if part.kind in ("beginning", "gap"):
            return self._read_start(part)
        if not part.brackets:
            return self._read_to_mark(part)
        length = part.brackets.read(self._pending)
        part.add(self._pending[:length])
        self._pending = self._pending[length:]
        return self._end_call(part) if part.brackets.is_closed else None

    def _read_start(self, part: Part) -> Part | None:
        """Read the mark at the beginning of an answer or after another part."""
        is_beginning = part.kind == "beginning"
        content = self._pending.lstrip()
        marks = self._marks.at_start if is_beginning else self._marks.after_part
        found = table.pattern_of(marks, self._marks.call_object).match(content)
        if found is None and self._may_begin_with_mark(content, marks):
            return None
        if tag := table.THOUGHT_TAG.match(content):
            self._pending = content[tag.end() :]
            return Part("thought", (f"</{tag[1]}>",))
        found = found or table.LEADING_TOKEN.match(content)
        mark = found[0] if found else ""
        presumption = table.PRESUMED.get(mark)
        if is_beginning and self.template.opens_reasoning and not mark:
            presumption = table.OPENED_BY_PROMPT
        if presumption:
            prefix, ends = presumption
            self._pending = content.removeprefix(prefix)
            return Part("thought", ends, content=prefix, is_presumed=True)
        if mark:
            self._pending = content.removeprefix(mark)
            return self._part_of(mark)
        return Part("text", is_blank=not is_beginning)

    def _may_begin_with_mark(self, content: str, marks: table.Marks) -> bool:
        """Return True for the beginning of a mark, tag, token or object, unless it is at the end of the answer."""
        if self._is_last or len(self._pending) > MAX_LEADING_SPACE:
            return False
        tag = table.THOUGHT_TAG.match(content)
        return bool(
            table.is_part_of_mark(content, marks)
            or (tag and not tag[2])
            or table.PART_OF_LEADING_TOKEN.fullmatch(content)
            or (self._tools and table.PART_OF_CALL_OBJECT.fullmatch(content))
        )

    def _read_to_mark(self, part: Part) -> Part | None:
        """Read up to a mark. It ends the part unless it is quoted."""
        marks = part.ends + self._marks.in_text if part.kind == "text" else part.ends
        found = table.pattern_of(marks).search(self._pending) if marks else None
        if found is None:
            self._read_unmarked(part, marks)
            return None
        mark = found[0]
        self._add(part, self._pending[: found.start()])
        self._pending = self._pending[found.end() :]
        if part.kind == "text" and self._is_quoted(mark):
            self._add_text(mark)
            return part
        if mark in table.BOXES:
            return part
        if part.kind == "header":
            return part_after(part)
        following = self._end_call(part, mark) if part.kind == "call" else None
        return following if mark == table.END_OF_FENCE else self._part_of(mark)

    def _read_unmarked(self, part: Part, marks: table.Marks) -> None:
        """Read the pending text, without its end if that may be the beginning of a mark or of the last tokens."""
        text = self._pending
        held = marks if part.ends else (*marks, *table.WRAPPERS.values(), "</response>\n")
        length = min(len(text) - table.length_of_mark(text, held), len(table.TOKENS_AT_END.sub("", text)))
        self._pending = text[length:]
        if self._is_last:
            is_dropped = table.TOKEN_AT_END.match(self._pending) or self._pending.rstrip() == self._closing_tag
            length = length if is_dropped else len(text)
            self._pending = ""
        self._add(part, text[:length])

    def _is_quoted(self, mark: str) -> bool:
        """Return True for a mark inside a line or a quotation of code, perhaps from a hostile document."""
        is_in_line = mark in self._marks.lines and not self._last_text.endswith("\n")
        is_in_code = mark in self._marks.in_text and self._backticks % 2 == 1
        return is_in_line or is_in_code

    def _part_of(self, mark: str) -> Part:
        """Return the part that a mark opens."""
        if mark in table.THOUGHTS:
            return Part("thought", table.THOUGHTS[mark])
        self._closing_tag = table.WRAPPERS.get(mark, self._closing_tag)
        if mark in table.HEADERS:
            return Part("header", (table.END_OF_HEADER,))
        is_whole = mark in self._marks.whole_calls or re.match(self._marks.call_object, mark) is not None
        if is_whole or mark in table.CALL_ENDS:
            ends = (table.END_OF_FENCE,) if "```" in mark else table.CALL_ENDS.get(mark, ())
            return call_part(mark, ends, is_whole=is_whole)
        return Part("gap")

    def _add(self, part: Part, text: str) -> None:
        shown = part.add(text)
        if part.kind == "thought":
            self._reasoning += shown
        else:
            self._add_text(shown)

    def _add_text(self, text: str) -> None:
        self._text += text
        self._backticks += text.count("`")
        self._last_text = text or self._last_text

    def _end_call(self, call: Part, end: str = "", *, is_cut: bool = False) -> Part:
        """Add the calls of a part. If it has none, it is text, without marks around the whole answer."""
        calls = calls_in(call.mark + call.content, self._tools, is_marked=not call.is_whole, is_cut=is_cut)
        self.calls += calls
        if calls:
            return Part("gap")
        has_marks = self._last_text or call.is_whole
        self._text += call.mark + call.content + end if has_marks else call.content
        return Part("text", is_blank=False)
