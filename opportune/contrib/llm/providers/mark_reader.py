"""Reader that separates reasoning and calls from the text of an answer by their marks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opportune.contrib.llm.providers import marks as table
from opportune.contrib.llm.providers.answer_parts import Call, Header, Part, Reasoning, Start, Text
from opportune.contrib.llm.providers.mark_search import OfferedMarks, length_of_mark, pattern_of
from opportune.contrib.llm.providers.written_calls import Schema, calls_in

MARK_IN_TEXT = re.compile(r"[<\[\]{]")
"""First characters of marks that may follow a text."""
MAX_LEADING_SPACE = 100
"""Maximum number of white space characters before the opening mark."""


@dataclass
class PromptTemplate:
    """Template of a model's prompts, as far as its answers tell.

    Attributes:
        opens_reasoning: True if the prompt has the opening tag, and the last answer had only the closing one.
    """

    opens_reasoning: bool = False


class MarkReader:
    """Separates reasoning and calls from the text of one answer. Chunks may split a mark anywhere.

    Attributes:
        calls: Calls that the model wrote as text.
        template: Template of the model, which answers share.
    """

    def __init__(self, tools: Mapping[str, Schema] | None = None, template: PromptTemplate | None = None) -> None:
        """`tools`: Schemas of the arguments by name. None if any name may be called."""
        self.calls: list[dict[str, Any]] = []
        self._tools = tools or {}
        self.template = template or PromptTemplate()
        self._marks = OfferedMarks(tools)
        self._part: Part = Start(is_first=True)
        self._pending = ""  # not yet read; perhaps the beginning of a mark
        self._reasoning = ""  # to be returned
        self._text = ""
        self._last_text = ""
        self._backticks = 0  # in the text. An odd number means that a quotation of code is open.

    def feed(self, content: str) -> tuple[str, str]:
        """Return the reasoning and the text added by a chunk."""
        part = self._part
        if isinstance(part, Text) and not (part.ends or part.is_blank or self._pending or MARK_IN_TEXT.search(content)):
            self._add_text(content)
            return self._take()
        self._pending += content
        while next_part := self._read_part():
            self._part = next_part
        return self._take()

    def finish(self, *, is_cut: bool = False) -> tuple[str, str]:
        """Return the reasoning and the text that were held back. `is_cut`: the answer is incomplete."""
        part, pending = self._part, self._pending
        self._pending = ""
        if isinstance(part, Call):
            part.add(pending)
            self._end_call(part, is_cut=is_cut)
            return self._take()
        is_space = isinstance(part, Start) and not (part.is_first or pending.strip())
        is_token = pending in table.END_TOKENS or table.OTHER_TOKEN.match(pending)
        if isinstance(part, Header) or is_space or is_token:
            return "", ""
        if not isinstance(part, Reasoning):
            return "", pending
        if part.presumed is None:
            return pending, ""
        self.template.opens_reasoning = False
        return "", part.presumed + pending  # the whole answer is text

    def read_calls(self, text: str) -> None:
        """Add the calls in another text, such as reasoning: some models do not end their thoughts before a call."""
        marks = (*self._marks.in_text, *self._marks.whole_calls)
        if self._tools and (found := pattern_of(marks).search(text)):
            self.calls += calls_in(text[found.start() :], self._tools)

    def _take(self) -> tuple[str, str]:
        added = self._reasoning, self._text
        self._reasoning = self._text = ""
        return added

    def _read_part(self) -> Part | None:
        """Return the next part, or None if more content is needed."""
        part = self._part
        if isinstance(part, Start):
            return self._read_start(part)
        if isinstance(part, Call) and part.has_brackets:
            return self._read_brackets(part)
        return self._read_to_mark(part)

    def _read_start(self, start: Start) -> Part | None:
        """Read the mark at the start of an answer or after another part."""
        content = self._pending.lstrip()
        if tag := table.OPENING_TAG.match(content):
            if not tag[2]:
                return None
            content = f"<{tag[1]}>{content[tag.end() :]}"
        marks = self._marks.at_start if start.is_first else self._marks.after_part
        found = pattern_of(marks).match(content)
        if found is None and len(self._pending) <= MAX_LEADING_SPACE and length_of_mark(content, marks) == len(content):
            return None
        mark = found[0] if found else ""
        presumption = table.PRESUMED.get(mark)
        if start.is_first and self.template.opens_reasoning and not mark:
            presumption = table.OPENED_BY_PROMPT
        if presumption:
            self._pending = content.removeprefix(presumption.prefix)
            return Reasoning(presumption.ends, presumed=presumption.prefix)
        if mark:
            self._pending = content.removeprefix(mark)
            return self._part_of(mark)
        return Text(is_blank=not start.is_first)

    def _read_to_mark(self, part: Text | Reasoning | Header | Call) -> Part | None:
        """Read up to a mark. It ends the part unless it is quoted."""
        marks = part.ends + self._marks.in_text if isinstance(part, Text) else part.ends
        found = pattern_of(marks).search(self._pending) if marks else None
        if found is None:
            held = marks if part.ends else (*marks, *table.END_TOKENS)
            length = len(self._pending) - length_of_mark(self._pending, held)
            self._add(part, self._pending[:length])
            self._pending = self._pending[length:]
            return None
        mark = found[0]
        self._add(part, self._pending[: found.start()])
        self._pending = self._pending[found.end() :]
        if isinstance(part, Text) and self._is_quoted(mark):
            self._add_text(mark)
            return part
        if isinstance(part, Header):
            return part.message()
        following = self._end_call(part, mark) if isinstance(part, Call) else None
        return following if mark == table.FENCE else self._part_of(mark)

    def _is_quoted(self, mark: str) -> bool:
        """Return True for a mark inside a line or a quotation of code, perhaps from a hostile document."""
        is_in_line = mark in self._marks.lines and not self._last_text.endswith("\n")
        is_in_code = mark in self._marks.in_text and self._backticks % 2 == 1
        return is_in_line or is_in_code

    def _read_brackets(self, call: Call) -> Part | None:
        """Read up to the bracket that ends a call."""
        length, is_over = call.read_brackets(self._pending)
        call.add(self._pending[:length])
        self._pending = self._pending[length:]
        return self._end_call(call) if is_over else None

    def _part_of(self, mark: str) -> Part:
        """Return the part that a mark opens."""
        if mark in table.THOUGHTS:
            return Reasoning(table.THOUGHTS[mark])
        if mark in table.HEADERS:
            return Header()
        if mark in self._marks.whole_calls:
            return Call(mark, table.FENCED_CALLS.get(mark, ()))
        return Call(mark, table.CALL_ENDS[mark]) if mark in table.CALL_ENDS else Start()

    def _add(self, part: Text | Reasoning | Header | Call, text: str) -> None:
        if isinstance(part, Header | Call):
            part.add(text)
        elif isinstance(part, Reasoning):
            self._reasoning += part.add(text)
        else:
            self._add_text(part.add(text))

    def _add_text(self, text: str) -> None:
        self._text += text
        self._backticks += text.count("`")
        self._last_text = text or self._last_text

    def _end_call(self, call: Call, end: str = "", *, is_cut: bool = False) -> Start | Text:
        """Add the calls of a part. If it has none, it is text, without marks around the whole answer."""
        calls = call.calls(self._tools, is_cut=is_cut)
        self.calls += calls
        if calls:
            return Start()
        has_marks = self._last_text or call.mark in self._marks.whole_calls
        self._text += call.mark + call.content + end if has_marks else call.content
        return Text(is_blank=False)
