"""Marks in the text of an answer: around reasoning, tool calls, and messages in the Harmony format.

Ollama, llama.cpp, LM Studio and vLLM send them if they run a model without the parser for its template.
"""

import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from string import ascii_uppercase
from typing import Any

from opportune.contrib.llm.providers.tool_calls import CUT
from opportune.contrib.llm.providers.written_calls import (
    BAR,
    CALLS,
    FENCE,
    M3,
    TEXT_CALLS,
    WHOLE_CALLS,
    Schema,
    calls_in,
)

_Part = Enum("_Part", "START TEXT REASONING HEADER CALL")


def _end_of(mark: str) -> str:
    """Return the mark after a part: `</tool_call>`, `<|tool_call_end|>`, `[/THINK]`, or one that never comes."""
    end = re.sub("begin|start", "end", mark).replace("START", "END").replace("prefix", "suffix")
    name = re.split("[ =(]", mark)[0]
    return end if end != mark else f"{mark[0]}/{name[1:]}" + ">" * (name != mark)


TAGS = ("think", "thinking", "thought", "reason", "reasoning", "seed:think", "mm:think", "longcat_think")
THOUGHTS = {
    **{mark: _end_of(mark) for tag in TAGS for mark in (f"<{tag}>", f"<{tag.upper()}>", f"<{tag.title()}>")},
    **{mark: _end_of(mark) for mark in ("[THINK]", "◁think▷", "<|begin_of_thought|>", "<|inner_prefix|>")},
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|channel>thought": "<channel|>",
    "<unused94>thought": "<unused95>",
    "<|think|>": "<|end|>",
}
"""Closing mark of each opening mark. They count only at the start of an answer."""
OPENING_TAG = re.compile(rf"<({'|'.join(TAGS)})\s(?!>)[^<>]{{0,60}}(>|\Z)", re.IGNORECASE)
"""Tag with attributes, such as `<think duration="3">`, or its beginning."""
HEADERS, MESSAGE = ("<|channel|>", "<|start|>"), "<|message|>"
"""Beginning of a Harmony message, and the end of its header: `<|start|>assistant<|channel|>final<|message|>`."""
ENDS_OF_MESSAGE = ("<|end|>", "<|return|>", "<|call|>", *HEADERS)
ANALYSIS, UNMARKED_CALL = "analysis", "assistantcommentary"
ENDS_OF_ANALYSIS = ("assistantfinal", UNMARKED_CALL)
PROSE = ("Here is my thought process:", "Here's my thought process:", "Here are my reasoning steps:")
PROSE_ENDS = ("Here is my response:", "[BEGIN FINAL RESPONSE]")
PRESUMED = {
    # Harmony from a server that leaves out the marks: `analysisHm.assistantfinalYes`
    **{ANALYSIS + letter: (ANALYSIS, ENDS_OF_ANALYSIS) for letter in ascii_uppercase},
    # Granite and Apriel
    **{begin: (begin, PROSE_ENDS) for begin in PROSE},
}
"""Beginning of reasoning without a mark, which is a text unless one of the ends follows: its prefix, and the ends."""
ANSWER_MARKS = (
    *("<|START_RESPONSE|>", "<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>"),
    *("<answer>\n", "<response>\n", "<|begin|>assistant<|content|>"),
    "<|begin_of_solution|>",
)
END_TOKENS = (
    *("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>", "</s>"),
    *("<|END_RESPONSE|>", f"<{BAR}end▁of▁sentence{BAR}>", "</answer>", "</response>", "</response>\n", "[e~["),
    *("[END FINAL RESPONSE]", "<|end_of_solution|>", "<|eom_id|>"),
)
"""Tokens at the end of an answer that a server with the wrong template sends as text."""
STRUCTURE = re.compile(r"\\.?|[\"'{}()\[\]]", re.DOTALL)
"""Escapes, quotes and brackets of a call."""
MARK_IN_TEXT = re.compile(r"[<\[\]{]")
"""First characters of marks that may follow a text."""
MIN_MARK_LENGTH = 3
MAX_MARK_LENGTH = 80
MAX_LEADING_SPACE = 100
"""Maximum number of white space characters before the opening mark."""
MAX_COLLECTED_LENGTH = 200_000
"""Maximum number of characters of a header or a call."""
CLOSING_LINE = "\n</think>\n"
"""End of reasoning whose opening tag is in the prompt, in the templates of DeepSeek and Qwen."""
UNOPENED: set[str] = set()
"""Origins whose last answers had only the closing tag. Their next answer is read as reasoning until the tag."""


TEMPLATES: Mapping[str, tuple[_Part, tuple[str, ...]]] = {
    # Some models end a thought or a call twice.
    **dict.fromkeys((*THOUGHTS.values(), *map(_end_of, CALLS), *ANSWER_MARKS), (_Part.START, ())),
    **{mark: (_Part.REASONING, (end,)) for mark, end in THOUGHTS.items()},
    **dict.fromkeys(HEADERS, (_Part.HEADER, (MESSAGE,))),
    **{mark: (_Part.CALL, (_end_of(mark.removeprefix(M3)),)) for mark in CALLS},
    UNMARKED_CALL: (_Part.CALL, ENDS_OF_ANALYSIS),
}
"""Part of the answer that each mark begins, and the marks that end it."""


class MarkReader:
    """Separates reasoning and calls from the text of an answer. Chunks may split a mark anywhere.

    Attributes:
        calls: Calls that the model wrote as text.
    """

    def __init__(self, origin: str = "", tools: Mapping[str, Schema] | None = None) -> None:
        """`tools`: Schemas of the arguments by name. None if any name may be called."""
        self._origin, self._tools = origin, tools or {}
        self.calls: list[dict[str, Any]] = []
        self._presumed: str | None = None  # text presumed to be reasoning, until its closing mark comes
        self._pending = ""  # last characters, which may be the beginning of a mark
        self._mark = self._collected = ""  # mark of a call, and a header or a call up to its end
        self._call_marks = CALLS if tools or tools is None else ()
        self._line_marks = tuple(form.format(name) for name in self._tools for form in TEXT_CALLS)
        self._whole_calls = (*WHOLE_CALLS, *self._line_marks) if tools else ()
        self._text_marks = (*self._call_marks, *self._line_marks)
        marks = (mark for mark, (part, _) in TEMPLATES.items() if part is not _Part.CALL)
        self._start_marks = (*marks, *PRESUMED, *self._call_marks, *self._whole_calls)
        self._is_first, self._has_text, self._last = True, False, ""
        self._backticks = 0  # backticks in the text. An odd number means that a quotation of code is open.
        self._start(_Part.START, "")

    def feed(self, content: str) -> tuple[str, str]:
        """Return the reasoning and the text added by a chunk."""
        is_plain = self._part is _Part.TEXT and not (self._ends or self._pending)
        if is_plain and not MARK_IN_TEXT.search(content):
            self._backticks += content.count("`")
            self._last = content
            return "", content
        self._pending += content
        self._added = dict.fromkeys(_Part, "")
        while self._read_start() if self._part is _Part.START else self._read_part():
            pass
        return self._added[_Part.REASONING], self._added[_Part.TEXT]

    def finish(self, *, is_cut: bool = False) -> tuple[str, str]:
        """Return the reasoning and the text that were held back. `is_cut`: the answer is incomplete."""
        pending, self._pending = self._pending, ""
        if self._part is _Part.CALL:
            self._collected += pending
            return "", self._end_call("", is_cut=is_cut)
        is_space = self._part is _Part.START and not (self._is_first or pending.strip())
        is_token = pending in END_TOKENS or (pending.startswith(("<|", f"<{BAR}")) and len(pending) > MIN_MARK_LENGTH)
        if self._part is _Part.HEADER or is_space or is_token:
            return "", ""
        if self._presumed is not None:  # the whole answer is text
            UNOPENED.discard(self._origin)
            return "", self._presumed + pending
        return (pending, "") if self._part is _Part.REASONING else ("", pending)

    def read_calls(self, text: str) -> None:
        """Add the calls in another text, such as reasoning: some models do not end their thoughts before a call."""
        if self._tools and (found := _pattern((*self._text_marks, *self._whole_calls)).search(text)):
            self.calls += calls_in(text[found.start() :], self._tools)

    def _start(self, part: _Part, rest: str, ends: tuple[str, ...] = (), mark: str = "") -> None:
        """Start a part of the answer with the text that follows a mark."""
        self._part, self._pending, self._ends, self._mark, self._collected = part, rest, ends, mark, ""
        self._is_blank = True  # white space at its beginning is dropped
        self._depth, self._quote = sum(map(mark.count, "{[(")), ""

    def _read_start(self) -> bool:
        """Read the mark at the start of an answer or after another part. Return False if more content is needed."""
        stripped = self._pending.lstrip()
        if tag := OPENING_TAG.match(stripped):
            if not tag[2]:
                return False
            stripped = f"<{tag[1]}>{stripped[tag.end() :]}"
        found = _pattern(self._start_marks).match(stripped)
        mark = found[0] if found else ""
        is_open = len(self._pending) <= MAX_LEADING_SPACE and not mark
        if is_open and _length_of_mark(stripped, self._start_marks) == len(stripped):
            return False
        presumed = PRESUMED.get(mark) or (None if mark or self._origin not in UNOPENED else ("", ("</think>",)))
        if self._is_first and presumed:
            self._presumed, ends = presumed
            self._start(_Part.REASONING, stripped.removeprefix(self._presumed), ends)
        elif mark:
            self._start_after(mark, stripped.removeprefix(mark))
        else:
            self._start(_Part.TEXT, self._pending)
            self._is_blank = not self._is_first
        self._is_first = False
        return True

    def _read_part(self) -> bool:
        """Read up to the next mark. Return False if more content is needed."""
        if self._depth and not self._ends:
            return self._read_brackets()
        marks = self._ends + (self._text_marks if self._part is _Part.TEXT else ())
        found = _pattern(marks).search(self._pending) if marks else None
        held = marks if self._ends else (*marks, *END_TOKENS)
        length = found.start() if found else len(self._pending) - _length_of_mark(self._pending, held)
        self._add(self._pending[:length])
        self._pending = self._pending[length:]
        is_in_line = found and found[0] in self._line_marks and not self._last.endswith("\n")
        is_quoted = found and found[0] in self._text_marks and self._backticks % 2  # perhaps from a hostile document
        if found and (is_in_line or is_quoted):
            self._add(found[0])
            self._pending = self._pending.removeprefix(found[0])
        elif found:
            self._start_after(found[0], self._pending.removeprefix(found[0]))
        return bool(found)

    def _read_brackets(self) -> bool:
        """Read up to the bracket that ends a call without an end mark. Return False if more content is needed."""
        for token in STRUCTURE.finditer(self._pending):
            character = token[0]
            following = self._pending[token.end() : token.end() + 1]
            is_last_bracket = self._depth == 1 and not self._quote and character in ")]}"
            if character == "\\" or (is_last_bracket and not following):  # the next chunk decides
                self._add(self._pending[: token.start()])
                self._pending = token[0]
                return False
            if is_last_bracket and following not in "(;,":  # neither a link nor a list of calls
                self._add(self._pending[: token.end()])
                text = self._end_call("")
                self._added[_Part.TEXT] += text
                self._start(_Part.TEXT if text else _Part.START, self._pending[token.end() :])
                self._is_blank = False
                return True
            if self._quote or character in "\"'":
                self._quote = "" if character == self._quote else self._quote or character
            else:
                self._depth += (character in "{[(") - (character in ")]}")
        self._add(self._pending)
        self._pending = ""
        return False

    def _add(self, text: str) -> None:
        if self._part in (_Part.HEADER, _Part.CALL):
            self._collected = (self._collected + text)[:MAX_COLLECTED_LENGTH]
            return
        if self._presumed is not None:
            self._presumed += text
        text = text.lstrip() if self._is_blank else text
        self._is_blank = self._is_blank and not text
        if self._part is _Part.TEXT:
            self._has_text = self._has_text or bool(text)
            self._backticks += text.count("`")
            self._last = text or self._last
        self._added[self._part] += text

    def _start_after(self, mark: str, rest: str) -> None:
        """Start the part that follows a mark."""
        if self._part is _Part.HEADER:
            recipient = re.search(r"to=[\w.-]+", self._collected)
            part = _Part.CALL if recipient else _Part.REASONING if ANALYSIS in self._collected else _Part.TEXT
            self._start(part, rest, ENDS_OF_MESSAGE, recipient[0] if recipient else "")
            return
        if self._part is _Part.CALL and (text := self._end_call(mark)):
            self._added[_Part.TEXT] += text
            if mark == FENCE:
                self._start(_Part.TEXT, rest)
                self._is_blank = False
                return
        self._presumed = None
        whole = (_Part.CALL, (FENCE,) if "```" in mark else ())
        part, ends = TEMPLATES.get(mark, whole if mark in self._whole_calls else (_Part.START, ()))
        self._start(part, rest, ends, mark)

    def _end_call(self, end: str, *, is_cut: bool = False) -> str:
        """Add the calls that were collected. Return a text that is none, without marks around the whole answer."""
        text = self._mark + self._collected
        calls = calls_in(text, self._tools)
        if is_cut:
            names = [call["name"] for call in calls[-1:]] or [name for name in self._tools if name in text]
            calls[-1:] = [{"name": name, "arguments": CUT} for name in names[:1]]
        self.calls += calls
        if calls:
            return ""
        return text + end if self._has_text or self._mark in self._whole_calls else self._collected


@lru_cache(maxsize=50)
def _pattern(marks: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)))


@lru_cache(maxsize=50)
def _beginnings(marks: tuple[str, ...]) -> frozenset[str]:
    return frozenset(mark[:length] for mark in marks for length in range(1, len(mark) + 1))


def _length_of_mark(text: str, marks: tuple[str, ...]) -> int:
    """Return the length of the longest end of the text that is a mark or the beginning of one."""
    beginnings = _beginnings(marks)
    lengths = range(min(len(text), MAX_MARK_LENGTH), 0, -1)
    return next((length for length in lengths if text[-length:] in beginnings), 0)
