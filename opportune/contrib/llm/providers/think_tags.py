"""Reasoning inside the answer, as `<think>…</think>` or in the channels of the Harmony format.

Ollama, llama.cpp, LM Studio and vLLM send it this way if they run the model without a reasoning parser.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto

TAGS = ("think", "thinking", "thought", "reason", "reasoning", "seed:think", "mm:think", "longcat_think")
CLOSING_TAGS = {
    **{f"<{tag}>": f"</{tag}>" for tag in TAGS},
    "[THINK]": "[/THINK]",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "◁think▷": "◁/think▷",
    "<|channel>thought": "<channel|>",
}
"""Closing tag of each opening tag. Tags count only at the start of an answer."""
HEADERS, MESSAGE = ("<|channel|>", "<|start|>"), "<|message|>"
"""Beginning of a Harmony message, and the end of its header: `<|start|>assistant<|channel|>final<|message|>`."""
ENDS_OF_MESSAGE = ("<|end|>", "<|return|>", "<|call|>", *HEADERS)
CALL_TAGS = {"<tool_call>": "</tool_call>", "[TOOL_CALLS]": "</s>"}
"""Tags around calls in JSON, which Qwen's and Mistral's models write if they run without a parser for them."""
END_TOKENS = ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<end_of_turn>")
"""Tokens at the end of an answer that a server with the wrong template sends as text."""
RECIPIENT = re.compile(r"to=(?:functions\.)?([\w.-]+)")
MAX_LEADING_SPACE = 100
"""Maximum number of white space characters before the opening tag."""
MAX_HEADER_LENGTH = 500
CLOSING_TAG = "</think>"
CLOSING_LINE = f"\n{CLOSING_TAG}\n"
"""End of reasoning whose opening tag was in the prompt, as the templates of DeepSeek and Qwen have it."""
UNOPENED: set[str] = set()
"""Origins whose last answers had only the closing tag. Their next answer is read as reasoning until the tag."""


class _Position(Enum):
    START = auto()
    HEADER = auto()
    REASONING = auto()
    CALL = auto()
    TEXT = auto()


class ThinkTagSplitter:
    """Separates reasoning at the start of an answer from its text. Chunks may split a tag anywhere.

    Attributes:
        calls: Name and arguments of tool calls. The name is empty for a text between tags of calls.
    """

    def __init__(self, origin: str = "") -> None:
        self._origin = origin
        self._presumed: str | None = None
        """Text without an opening tag, as long as it may be reasoning."""
        self.calls: list[tuple[str, str]] = []
        self._position = _Position.START
        self._pending = ""
        """Last characters that may be the beginning of a tag."""
        self._ends: Iterable[str] = ()
        """Tags that end this part of the answer; none if the rest is text."""
        self._is_blank = True
        """True while this part is only white space, which is dropped."""
        self._is_first = True

    def feed(self, content: str) -> tuple[str, str]:
        """Return the reasoning and the text added by a chunk."""
        if self._position is _Position.TEXT and not (self._ends or self._pending or "<" in content):
            return "", content
        self._pending += content
        parts: dict[_Position, str] = dict.fromkeys(_Position, "")
        is_read = False
        while not is_read:
            before = (self._position, self._pending)
            if self._position is _Position.START:
                self._read_start()
            elif self._position is _Position.HEADER:
                self._read_header()
            else:
                parts[self._position] += self._read_part()
            is_read = before == (self._position, self._pending)
        return parts[_Position.REASONING], parts[_Position.TEXT]

    def finish(self) -> tuple[str, str]:
        """Return the reasoning and the text that were held back."""
        pending, self._pending = self._pending, ""
        if self._position is _Position.HEADER or pending in END_TOKENS:
            return "", ""
        if self._presumed is not None:  # the whole answer is text
            UNOPENED.discard(self._origin)
            return "", self._presumed + pending
        return (pending, "") if self._position is _Position.REASONING else ("", pending)

    def _read_start(self) -> None:
        stripped = self._pending.lstrip()
        if not self._is_first:
            self._pending = stripped
        if tag := next(filter(stripped.startswith, CLOSING_TAGS), None):
            self._start(_Position.REASONING, stripped.removeprefix(tag), [CLOSING_TAGS[tag]])
        elif tag := next(filter(stripped.startswith, CALL_TAGS), None):
            self.calls.append(("", ""))
            self._start(_Position.CALL, stripped.removeprefix(tag), [CALL_TAGS[tag]])
        elif tag := next(filter(stripped.startswith, CLOSING_TAGS.values()), None):  # the prompt had the opening tag
            self._start(_Position.START, stripped.removeprefix(tag))
        elif stripped.startswith(HEADERS):
            self._start(_Position.HEADER, stripped)
        elif len(self._pending) <= MAX_LEADING_SPACE and _may_become(stripped, _ALL_TAGS):
            return
        elif self._is_first and self._origin in UNOPENED:
            self._start(_Position.REASONING, self._pending, [CLOSING_TAG])
            self._presumed = ""
        else:
            self._start(_Position.TEXT, self._pending)
            self._is_blank = False

    def _read_header(self) -> None:
        header, end, content = self._pending.partition(MESSAGE)
        is_header = _may_become(self._pending.lstrip()[:9], ("assistant", MESSAGE, *HEADERS))
        if not is_header or len(header) > MAX_HEADER_LENGTH:
            self._start(_Position.TEXT, self._pending)
        elif end and (recipient := RECIPIENT.search(header)):
            self.calls.append((recipient[1], ""))
            self._start(_Position.CALL, content, ENDS_OF_MESSAGE)
        elif end:
            self._start(_Position.REASONING if "analysis" in header else _Position.TEXT, content, ENDS_OF_MESSAGE)

    def _start(self, position: _Position, content: str, ends: Iterable[str] = ()) -> None:
        self._position, self._pending, self._ends = position, content, ends
        self._is_blank, self._is_first = True, False

    def _read_part(self) -> str:
        """Read this part of the answer, up to its end or the beginning of a tag."""
        found = [(self._pending.find(end), end) for end in self._ends if end in self._pending]
        if found:
            length, end = min(found)
        else:
            length, end = len(self._pending) - _length_of_tag(self._pending, self._ends or END_TOKENS), ""
        part, self._pending = self._pending[:length], self._pending[length:]
        if self._is_blank:
            part = part.lstrip()
            self._is_blank = not part
        if self._presumed is not None:
            self._presumed = None if end else self._presumed + part
        if self._position is _Position.CALL:
            name, arguments = self.calls[-1]
            self.calls[-1] = name, arguments + part
        if end:
            self._start_after(end)
        return part

    def _start_after(self, end: str) -> None:
        """Start the part that follows this tag. A header begins with its tag."""
        rest = self._pending if end in HEADERS else self._pending.removeprefix(end)
        self._start(_Position.HEADER if self._ends is ENDS_OF_MESSAGE else _Position.START, rest)


_ALL_TAGS = (*CLOSING_TAGS, *CLOSING_TAGS.values(), *CALL_TAGS, *HEADERS)


def _may_become(text: str, tags: Iterable[str]) -> bool:
    """Return True if the text begins with one of the tags, or is the beginning of one."""
    return any(tag.startswith(text) or text.startswith(tag) for tag in tags)


def _length_of_tag(text: str, tags: Iterable[str]) -> int:
    """Return the length of the longest end of the text that is a tag or the beginning of one."""
    lengths = (length for tag in tags for length in range(1, len(tag) + 1) if text.endswith(tag[:length]))
    return max(lengths, default=0)
