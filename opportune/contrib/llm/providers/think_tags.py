"""Reasoning inside the answer, as `<think>…</think>`.

Ollama, llama.cpp and vLLM send it this way if they run the model without a reasoning parser.
"""

from enum import Enum, auto

OPENING, CLOSING = "<think>", "</think>"
MAX_LEADING_SPACE = 100
"""Maximum number of white space characters before the opening tag."""


class _Position(Enum):
    START = auto()
    REASONING = auto()
    GAP = auto()
    """White space between the closing tag and the text."""
    TEXT = auto()


class ThinkTagSplitter:
    """Separates reasoning at the start of an answer from its text. Chunks may split a tag anywhere."""

    def __init__(self) -> None:
        self._position = _Position.START
        self._pending = ""
        """Last characters that may be the beginning of a tag."""
        self._is_blank = True
        """True while the reasoning is only white space."""

    def feed(self, content: str) -> tuple[str, str]:
        """Return the reasoning and the text added by a chunk."""
        self._pending += content
        if self._position is _Position.START:
            self._read_start()
        reasoning = self._read_reasoning() if self._position is _Position.REASONING else ""
        return reasoning, self._read_text()

    def finish(self) -> tuple[str, str]:
        """Return the reasoning and the text that were held back."""
        pending, self._pending = self._pending, ""
        return (pending, "") if self._position is _Position.REASONING else ("", pending)

    def _read_start(self) -> None:
        stripped = self._pending.lstrip()
        if stripped.startswith(OPENING):
            self._position, self._pending = _Position.REASONING, stripped.removeprefix(OPENING)
        elif not OPENING.startswith(stripped) or len(self._pending) > MAX_LEADING_SPACE:
            self._position = _Position.TEXT

    def _read_reasoning(self) -> str:
        reasoning, tag, text = self._pending.partition(CLOSING)
        if tag:
            self._position, self._pending = _Position.GAP, text
        else:
            end = len(reasoning) - _length_of_cut_tag(reasoning)
            reasoning, self._pending = reasoning[:end], reasoning[end:]
        if self._is_blank:
            reasoning = reasoning.lstrip()
            self._is_blank = not reasoning
        return reasoning

    def _read_text(self) -> str:
        if self._position is _Position.GAP:
            self._pending = self._pending.lstrip()
            self._position = _Position.TEXT if self._pending else _Position.GAP
        if self._position is not _Position.TEXT:
            return ""
        text, self._pending = self._pending, ""
        return text


def _length_of_cut_tag(reasoning: str) -> int:
    """Return the length of a trailing prefix of the closing tag."""
    return next(length for length in range(len(CLOSING) - 1, -1, -1) if reasoning.endswith(CLOSING[:length]))
