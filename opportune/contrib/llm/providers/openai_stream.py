"""Reader of answers in OpenAI's format. It reads what it understands, and ignores the rest."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opportune.contrib.llm.providers.errors import FILTERED, UNAVAILABLE, error_in
from opportune.contrib.llm.providers.events import Event
from opportune.contrib.llm.providers.growing_text import GrowingText
from opportune.contrib.llm.providers.loose_json import count_in, key_in, objects_in, text_in
from opportune.contrib.llm.providers.marks import CLOSING_LINE, UNOPENED, MarkReader
from opportune.contrib.llm.providers.provider import (
    EMPTY,
    INTERRUPTED,
    Done,
    ErrorCode,
    LlmError,
    Reasoning,
    ToolSchema,
)
from opportune.contrib.llm.providers.returned_fields import ReturnedFields
from opportune.contrib.llm.providers.tool_calls import ToolCallReader
from opportune.i18n import gettext_lazy as _l

MAX_ANSWER_LENGTH = 200_000
"""Maximum number of characters, also of the reasoning."""
USAGE_FIELDS = frozenset({"usage", "x_groq", "usageMetadata", "timings"})
"""Fields with token counts: of OpenAI, Groq, Google and llama.cpp."""
COUNT_FIELDS = {
    "prompt_tokens": ("prompttokens", "inputtokens", "promptevalcount", "prompttokencount", "promptn"),
    "completion_tokens": ("completiontokens", "outputtokens", "evalcount", "candidatestokencount", "predictedn"),
    "cached_tokens": ("cachedtokens", "promptcachehittokens", "cachereadinputtokens"),
    "reasoning_tokens": ("reasoningtokens",),
}
"""Names of the counts, in lower case and without underscores."""
CALL_FIELDS = frozenset({"tool_calls", "tool_call", "function_call"})
PLAIN_FIELDS = frozenset({"index", "delta", "message", "role", "content", "text", "finish_reason", "logprobs"})
EMPTY_FIELDS = ("role", "finish_reason")
"""Fields of a delta that adds nothing, so that a message beside it counts."""
FINISH_FIELDS = ("finish_reason", "finishReason", "done_reason", "finish_details", "stop_reason")
UNFINISHED = ("", "null", "none", "not_finished", "in_progress", "finish_reason_unspecified")
FILTER_REASONS = re.compile(r"filter|safety|sensitive|recitation|prohibited|blocklist|refusal|guardrail|toxic|spii")
LENGTH_REASONS = re.compile(r"length|max_|context_window|truncat|token_limit|time_limit")
FAILURE_REASONS = re.compile(r"error|abort|insufficient|malformed|unexpected|fail|cancel|overload")

OUT_OF_TOKENS = _l(
    "The model used up the length of its answer for thinking, before it began to write. Ask for less, or try again."
)
ONLY_REASONING = _l("The model thought, but gave no answer. Try again.")


class ChatCompletionReader:
    """Reads the events of one answer."""

    def __init__(self, origin: str = "", tools: Sequence[ToolSchema] | None = None) -> None:
        """Read an answer.

        Args:
            origin: Identifies endpoint and model, for fields that they need back.
            tools: Tools that were offered. None if they are unknown.
        """
        self._content = GrowingText()
        """Content as received, with reasoning between marks."""
        self._length = 0
        self._has_text = False
        self._thoughts: list[str] = []
        self._reasoning_length = 0
        self._origin = origin
        schemas = None if tools is None else {tool.name: tool.parameters for tool in tools}
        self._marks = MarkReader(origin, schemas)
        self._finish_reason = ""
        self._choice_index = ""
        """Index of the first choice, if there are several. Only one answer is requested, so others are ignored."""
        self._usage: dict[str, Any] = {}
        self._calls = ToolCallReader()
        self._returned = ReturnedFields(origin)
        self.is_over = False
        """True if the remaining stream can be ignored."""

    @property
    def is_finished(self) -> bool:
        """True if only token counts can follow."""
        return self.is_over or bool(self._finish_reason)

    def read(self, event: Event) -> list[str | Reasoning]:
        """Return the reasoning and text added by one event.

        Raises:
            LlmError: The event reports an error.
        """
        name, envelope = event
        value = envelope
        if not value.get("choices"):  # some gateways wrap each chunk in another object
            value = next((item for item in value.values() if isinstance(item, dict) and "choices" in item), value)
        may_fail = value.get("error") or not value.get("choices") or name == "error"
        if may_fail and (error := error_in(value, is_error=name == "error")):
            raise error
        reasoning = text = ""
        for choice in self._own_choices(value):
            added_reasoning, added_text = self._read_choice(choice, value)
            reasoning += added_reasoning
            text += added_text
        self._count(envelope)
        if value is not envelope:
            self._count(value)
        if name == "done" or value.get("done") is True:
            self.is_over = True
            self._count({"usage": value})
        marked, text = self._marks.feed(text) if text else ("", "")
        return self._to_chunks(reasoning + marked, text)

    def _count(self, part: Mapping[str, Any]) -> None:
        """Add the token counts in an event or in one of its parts. A later zero does not replace a count."""
        for field in USAGE_FIELDS & part.keys():
            for name, count in counts_in(part[field]).items():
                self._usage[name] = count or self._usage.get(name, count)

    def read_pending(self) -> list[str | Reasoning]:
        """Return text that was held back because it looked like the beginning of a mark."""
        if self._origin and _lacks_opening_tag(self._content.text, CLOSING_LINE):
            UNOPENED.add(self._origin)
        marked, text = self._marks.feed(self._content.pending)
        pending = self._marks.finish()
        if not (self._has_text or text + pending[1] or self._calls):
            self._marks.read_reasoning("".join(self._thoughts))
        for number, call in enumerate(self._marks.calls):
            self._calls.add({"id": f"written_{number}", **call}, is_whole=True)
        return self._to_chunks(self._returned.pending() + marked + pending[0], text + pending[1])

    def finish(self) -> Done:
        """Return the token counts and tool calls of the complete answer.

        Raises:
            LlmError: The answer was interrupted, was withheld, or is empty.
        """
        if not self.is_finished:
            raise LlmError("interrupted", INTERRUPTED)
        done = Done(
            **self._usage,
            truncated=self._is_truncated or bool(LENGTH_REASONS.search(self._finish_reason)),
            tool_calls=self._returned.attach_to(self._calls.finish()),
            returned=self._returned.of_message(),
        )
        if failure := self._failure_of(done):
            raise LlmError(*failure, done=done)
        return done

    def _failure_of(self, done: Done) -> tuple[ErrorCode, str] | None:
        """Return why a finished answer is none. Some models count their reasoning but never send it."""
        if FILTER_REASONS.search(self._finish_reason) and "malformed" not in self._finish_reason:
            return FILTERED.code, FILTERED.sentence
        if FAILURE_REASONS.search(self._finish_reason):
            return ("interrupted", INTERRUPTED) if self._length else (UNAVAILABLE.code, UNAVAILABLE.sentence)
        if self._has_text or done.tool_calls:
            return None
        if done.truncated:
            return "out_of_tokens", OUT_OF_TOKENS
        return "empty", ONLY_REASONING if self._reasoning_length or done.reasoning_tokens else EMPTY

    @property
    def _is_truncated(self) -> bool:
        return max(self._length, self._reasoning_length) >= MAX_ANSWER_LENGTH

    def _to_chunks(self, reasoning: str, text: str) -> list[str | Reasoning]:
        reasoning = reasoning[: MAX_ANSWER_LENGTH - self._reasoning_length]
        text = text[: max(MAX_ANSWER_LENGTH - self._length, 0)]
        self._reasoning_length += len(reasoning)
        self._thoughts.append(reasoning)
        self._length += len(text)
        self.is_over |= self._is_truncated
        self._has_text = self._has_text or bool(text.strip())
        chunks: list[str | Reasoning] = [Reasoning(reasoning)] if reasoning else []
        if text:
            chunks.append(text)
        return chunks

    def _own_choices(self, value: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        """Return the parts of the first choice. Some endpoints omit or change its index, or send no list."""
        choices = value.get("choices")
        if not choices and (isinstance(value.get("message"), dict) or "delta" in value or "finish_reason" in value):
            choices = [value]
        choices = objects_in(choices)
        if len(choices) > 1 and not self._choice_index:
            self._choice_index = key_in(choices[0].get("index")) or "0"
        if not self._choice_index:
            return choices
        indexes = (key_in(choice.get("index")) or str(number) for number, choice in enumerate(choices))
        return [choice for index, choice in zip(indexes, choices, strict=True) if index == self._choice_index]

    def _read_choice(self, choice: dict[str, Any], chunk: Mapping[str, Any]) -> tuple[str, str]:
        """Return the reasoning and the content that a choice adds. Endpoints put them into a delta or a message."""
        if choice.get("error") and (error := error_in(choice, is_choice=True)):
            raise error
        delta, message = choice.get("delta"), choice.get("message")
        delta = delta if isinstance(delta, dict) else {"content": delta}
        fields = {**choice, **delta}
        if reason := _finish_reason_in(choice, fields):
            self._finish_reason = reason
        is_whole = bool(message) and not any(value for name, value in delta.items() if name not in EMPTY_FIELDS)
        if is_whole:
            fields |= message if isinstance(message, dict) else {"content": message}
            is_end = "delta" not in choice and chunk.get("object") != "chat.completion.chunk" and "done" not in chunk
            self._finish_reason = self._finish_reason or "stop" * is_end
        content, reasoning = fields.get("content") or fields.get("text"), ""
        if not isinstance(content, str):
            reasoning, content = _texts_in(content)
        if is_whole and not self._content.text and _lacks_opening_tag(content, "</think>\n"):
            content = f"<think>{content}"  # the prompt had the opening tag
        if not fields.keys() <= PLAIN_FIELDS:
            reasoning = self._read_other_fields(fields, is_whole) or reasoning
            content += text_in(fields.get("refusal") or fields.get("audio"))
        return reasoning, self._content.add(content, is_whole=is_whole)

    def _read_other_fields(self, fields: Mapping[str, Any], is_whole: bool) -> str:
        """Read token counts, tool calls and fields to send back. Return the reasoning."""
        self._count(fields)
        for name in CALL_FIELDS & fields.keys():
            for piece in objects_in(fields[name]):
                self._length += self._calls.add(piece, is_whole=is_whole)
        return self._returned.add(fields, is_whole=is_whole)


def counts_in(usage: object) -> dict[str, Any]:
    """Return the token counts in the usage of an answer, also in objects for details."""
    parts = objects_in(usage)
    details = [item for part in parts for item in part.values() if isinstance(item, dict)]
    reported = {_plain(name): count_in(value) for item in (*details, *parts) for name, value in item.items()}
    named = ((name, reported.get(field)) for name, fields in COUNT_FIELDS.items() for field in fields[::-1])
    counts: dict[str, Any] = {name: count for name, count in named if count is not None}
    # Google and xAI do not count the reasoning as a part of the answer.
    total = next(filter(None, map(reported.get, ("totaltokens", "totaltokencount"))), 0)
    without_prompt = total - counts.get("prompt_tokens", 0)
    if 0 < counts.get("completion_tokens", 0) < without_prompt and "prompt_tokens" in counts:
        counts["completion_tokens"] = without_prompt
    return counts


def _plain(name: str) -> str:
    """Return the name of a field in a form that does not depend on the case of its words."""
    return name.replace("_", "").lower()


def _finish_reason_in(choice: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """Return why an answer ended, in lower case; empty if it continues."""
    reason = choice.get("finish_reason") or next(filter(None, map(fields.get, FINISH_FIELDS)), None)
    reason = str(reason).lower() if reason else ""
    return "" if reason in UNFINISHED else reason


def _lacks_opening_tag(content: str, closing_tag: str) -> bool:
    return closing_tag in content and "<think>" not in content


def _texts_in(content: object) -> tuple[str, str]:
    """Return the reasoning and the text of a content that is a list of parts, as Mistral's models send it."""
    parts = content if isinstance(content, list) else [content]
    thoughts = [part for part in parts if _is_thought(part)]
    return text_in(thoughts), text_in([part for part in parts if not _is_thought(part)])


def _is_thought(part: object) -> bool:
    return isinstance(part, dict) and (
        "thinking" in part or re.search("think|reason", str(part.get("type"))) is not None
    )
