"""Marks in the text of an answer: around reasoning, tool calls, and messages in the Harmony format.

Ollama, llama.cpp, LM Studio and vLLM send them if they run a model without the parser for its template.
"""

import re
from collections.abc import Mapping
from enum import Enum, auto
from functools import cache
from string import ascii_uppercase
from typing import Any

from opportune.contrib.llm.providers.written_calls import BAR, CALL_MARKS, JSON_CALLS, Schema, calls_in, end_of

TAGS = ("think", "thinking", "thought", "reason", "reasoning", "seed:think", "mm:think", "longcat_think")
THOUGHT_MARKS = {
    **{f"<{tag}>": f"</{tag}>" for tag in TAGS},
    "[THINK]": "[/THINK]",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "◁think▷": "◁/think▷",
    "<|channel>thought": "<channel|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
}
"""Closing mark of each opening mark. They count only at the start of an answer."""
HEADERS, MESSAGE = ("<|channel|>", "<|start|>"), "<|message|>"
"""Beginning of a Harmony message, and the end of its header: `<|start|>assistant<|channel|>final<|message|>`."""
ENDS_OF_MESSAGE = ("<|end|>", "<|return|>", "<|call|>", *HEADERS)
ANALYSIS = "analysis"
UNMARKED_ANALYSIS = tuple(ANALYSIS + letter for letter in ascii_uppercase)
"""Beginning of a Harmony message from a server that leaves out the marks: `analysisHm.assistantfinalYes`."""
UNMARKED_CALL = "assistantcommentary"
ENDS_OF_ANALYSIS = ("assistantfinal", UNMARKED_CALL)
ANSWER_MARKS = ("<|START_RESPONSE|>", "<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>")
"""Marks before the text of an answer."""
END_TOKENS = (
    *("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>", "</s>"),
    *("<|END_RESPONSE|>", f"<{BAR}end▁of▁sentence{BAR}>"),
)
"""Tokens at the end of an answer that a server with the wrong template sends as text."""
START_MARKS = (*THOUGHT_MARKS, *THOUGHT_MARKS.values(), *ANSWER_MARKS, *HEADERS, *UNMARKED_ANALYSIS)
RECIPIENT = re.compile(r"to=[\w.-]+")
MAX_MARK_LENGTH = 50
MAX_LEADING_SPACE = 100
"""Maximum number of white space characters before the opening mark."""
MAX_COLLECTED_LENGTH = 200_000
"""Maximum number of characters of a header or a call."""
CLOSING_LINE = "\n</think>\n"
"""End of reasoning whose opening tag was in the prompt, as the templates of DeepSeek and Qwen have it."""
UNOPENED: set[str] = set()
"""Origins whose last answers had only the closing tag. Their next answer is read as reasoning until the tag."""


class _Part(Enum):
    START = auto()
    TEXT = auto()
    REASONING = auto()
    HEADER = auto()
    CALL = auto()


class MarkReader:
    """Separates reasoning and calls from the text of an answer. Chunks may split a mark anywhere.

    Attributes:
        calls: Calls that the model wrote as text.
    """

    def __init__(self, origin: str = "", tools: Mapping[str, Schema] | None = None) -> None:
        """`tools`: Schemas of the arguments by name. None if any name may be called."""
        self._origin, self._tools = origin, tools or {}
        self.calls: list[dict[str, Any]] = []
        self._presumed: str | None = None
        """Text that is presumed to be reasoning, as long as its closing mark has not come."""
        self._pending = ""
        """Last characters, which may be the beginning of a mark."""
        self._mark = self._collected = ""
        """Mark of a call, and a header or a call up to its end."""
        self._call_marks = CALL_MARKS if tools or tools is None else ()
        self._start_marks = (*START_MARKS, *self._call_marks, *(JSON_CALLS if tools else ()))
        self._is_first, self._has_text = True, False
        self._backticks = 0
        """Backticks in the text. An odd number means that a quotation of code is open."""
        self._start(_Part.START, "")

    def feed(self, content: str) -> tuple[str, str]:
        """Return the reasoning and the text added by a chunk."""
        is_plain = self._part is _Part.TEXT and not (self._ends or self._pending)
        if is_plain and not ("<" in content or "[" in content):
            self._backticks += content.count("`")
            return "", content
        self._pending += content
        self._added = dict.fromkeys(_Part, "")
        while self._read_start() if self._part is _Part.START else self._read_part():
            pass
        return self._added[_Part.REASONING], self._added[_Part.TEXT]

    def finish(self) -> tuple[str, str]:
        """Return the reasoning and the text that were held back."""
        pending, self._pending = self._pending, ""
        if self._part is _Part.CALL:
            self._collected += pending
            return "", self._end_call("")
        if self._part is _Part.HEADER or pending in END_TOKENS:
            return "", ""
        if self._presumed is not None:  # the whole answer is text
            UNOPENED.discard(self._origin)
            return "", self._presumed + pending
        return (pending, "") if self._part is _Part.REASONING else ("", pending)

    def _start(self, part: _Part, rest: str, ends: tuple[str, ...] = (), mark: str = "") -> None:
        """Start a part of the answer with the text that follows a mark."""
        self._part, self._pending, self._ends, self._mark, self._collected = part, rest, ends, mark, ""
        self._is_blank = True  # white space at its beginning is dropped

    def _presume_reasoning(self, prefix: str, ends: tuple[str, ...]) -> None:
        self._start(_Part.REASONING, self._pending.lstrip().removeprefix(prefix), ends)
        self._presumed = prefix

    def _read_start(self) -> bool:
        """Read the mark at the start of an answer or after another part. Return False if more content is needed."""
        stripped = self._pending.lstrip()
        mark = next(filter(stripped.startswith, self._start_marks), "")
        is_open = len(self._pending) <= MAX_LEADING_SPACE and not mark
        if is_open and _length_of_mark(stripped, self._start_marks) == len(stripped):
            return False
        if self._is_first and mark in UNMARKED_ANALYSIS:
            self._presume_reasoning(ANALYSIS, ENDS_OF_ANALYSIS)
        elif mark:
            self._start_after(mark, stripped.removeprefix(mark))
        elif self._is_first and self._origin in UNOPENED:
            self._presume_reasoning("", ("</think>",))
        else:
            self._start(_Part.TEXT, self._pending)
            self._is_blank = not self._is_first
        self._is_first = False
        return True

    def _read_part(self) -> bool:
        """Read up to the next mark. Return False if more content is needed."""
        marks = self._ends + (self._call_marks if self._part is _Part.TEXT else ())
        found = _pattern(marks).search(self._pending) if marks else None
        held = marks if self._ends else (*marks, *END_TOKENS)
        length = found.start() if found else len(self._pending) - _length_of_mark(self._pending, held)
        self._add(self._pending[:length])
        self._pending = self._pending[length:]
        if found and found[0] in self._call_marks and self._backticks % 2:  # quoted, perhaps from a hostile document
            self._add(found[0])
            self._pending = self._pending.removeprefix(found[0])
        elif found:
            self._start_after(found[0], self._pending.removeprefix(found[0]))
        return bool(found)

    def _add(self, text: str) -> None:
        if self._part in (_Part.HEADER, _Part.CALL):
            self._collected = (self._collected + text)[:MAX_COLLECTED_LENGTH]
            return
        text = text.lstrip() if self._is_blank else text
        self._is_blank = self._is_blank and not text
        if self._part is _Part.TEXT:
            self._has_text = self._has_text or bool(text)
            self._backticks += text.count("`")
        self._added[self._part] += text
        if self._presumed is not None:
            self._presumed += text

    def _start_after(self, mark: str, rest: str) -> None:
        """Start the part that follows a mark."""
        if self._part is _Part.HEADER:
            recipient = RECIPIENT.search(self._collected)
            part = _Part.CALL if recipient else _Part.REASONING if "analysis" in self._collected else _Part.TEXT
            self._start(part, rest, ENDS_OF_MESSAGE, recipient[0] if recipient else "")
            return
        if self._part is _Part.CALL:
            self._added[_Part.TEXT] += self._end_call(mark)
        self._presumed = None
        if mark in THOUGHT_MARKS:
            self._start(_Part.REASONING, rest, (THOUGHT_MARKS[mark],))
        elif mark in HEADERS:
            self._start(_Part.HEADER, rest, (MESSAGE,))
        elif mark in CALL_MARKS or mark in JSON_CALLS or mark == UNMARKED_CALL:
            self._start(_Part.CALL, rest, ENDS_OF_ANALYSIS if mark == UNMARKED_CALL else (end_of(mark),), mark)
        else:
            self._start(_Part.START, rest)

    def read_reasoning(self, text: str) -> None:
        """Add calls in the reasoning of an answer without text: some models do not end their thoughts before a call."""
        if self._tools and (found := _pattern(self._call_marks).search(text)):
            self.calls += calls_in(text[found.start() :], self._tools)

    def _end_call(self, end: str) -> str:
        """Add the calls that were collected. Return a text that is none, without marks around the whole answer."""
        text = self._mark + self._collected
        calls = calls_in(text, self._tools)
        self.calls += calls
        if calls:
            return ""
        return text + end if self._has_text or self._mark in JSON_CALLS else self._collected


@cache
def _pattern(marks: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)))


@cache
def _beginnings(marks: tuple[str, ...]) -> frozenset[str]:
    return frozenset(mark[:length] for mark in marks for length in range(1, len(mark) + 1))


def _length_of_mark(text: str, marks: tuple[str, ...]) -> int:
    """Return the length of the longest end of the text that is a mark or the beginning of one."""
    lengths = range(min(len(text), MAX_MARK_LENGTH), 0, -1)
    return next((length for length in lengths if text[-length:] in _beginnings(marks)), 0)
