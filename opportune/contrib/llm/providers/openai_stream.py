"""Reader of answers in OpenAI's format. It reads what it understands, and ignores the rest."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from opportune.contrib.llm.providers.errors import FILTERED, UNAVAILABLE, error_in
from opportune.contrib.llm.providers.events import Event, json_objects_in
from opportune.contrib.llm.providers.growing_text import GrowingText
from opportune.contrib.llm.providers.provider import EMPTY, INTERRUPTED, Done, LlmError, Reasoning
from opportune.contrib.llm.providers.returned_fields import LIST_FIELDS, TEXT_FIELDS, ReturnedFields
from opportune.contrib.llm.providers.think_tags import CLOSING_LINE, UNOPENED, ThinkTagSplitter
from opportune.contrib.llm.providers.tool_calls import ToolCallReader, objects_in, to_key
from opportune.i18n import gettext_lazy as _l

MAX_ANSWER_LENGTH = 200_000
"""Maximum number of characters, also of the reasoning."""
REASONING_FIELDS = (*TEXT_FIELDS, "thinking", "thought", "cot_summary", *LIST_FIELDS)
"""Fields with reasoning. Some endpoints send the same text in several of them."""
TEXTS_OF_PARTS = ("text", "content", "summary", "thinking", "transcript", "refusal", "value")
USAGE_FIELDS = frozenset({"usage", "x_groq", "usageMetadata", "timings"})
"""Fields with token counts: of OpenAI, Groq, Google and llama.cpp."""
COUNT_FIELDS = {
    "prompt_tokens": ("prompt_tokens", "input_tokens", "prompt_eval_count", "promptTokenCount", "prompt_n"),
    "completion_tokens": ("completion_tokens", "output_tokens", "eval_count", "candidatesTokenCount", "predicted_n"),
    "cached_tokens": ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"),
    "reasoning_tokens": ("reasoning_tokens",),
}
CALL_FIELDS = frozenset({"tool_calls", "tool_call", "function_call"})
PLAIN_FIELDS = frozenset({"index", "delta", "message", "role", "content", "text", "finish_reason", "logprobs"})
EMPTY_FIELDS = ("role", "finish_reason")
"""Fields of a delta that adds nothing, so that a message beside it counts."""
FINISH_FIELDS = ("finish_reason", "finishReason", "done_reason", "finish_details")
UNFINISHED = ("", "null", "none", "not_finished", "in_progress", "finish_reason_unspecified")
FILTER_REASONS = re.compile(r"filter|safety|sensitive|recitation|prohibited|blocklist|refusal|guardrail|toxic|spii")
LENGTH_REASONS = re.compile(r"length|max_|context_window|truncat|token_limit|time_limit")
FAILURE_REASONS = re.compile(r"error|abort|insufficient|malformed|fail|cancel|overload")

OUT_OF_TOKENS = _l(
    "The model used up the length of its answer for thinking, before it began to write. Ask for less, or try again."
)
ONLY_REASONING = _l("The model thought, but gave no answer. Try again.")


class ChatCompletionReader:
    """Reads the events of one answer."""

    def __init__(self, origin: str = "") -> None:
        """`origin`: identifies endpoint and model, for fields that they need back."""
        self._content, self._reasoning = GrowingText(), GrowingText()
        """Content as received, with reasoning in tags, and the reasoning in other fields."""
        self._length = 0
        self._has_text = False
        self._reasoning_length = 0
        self._half = ""
        """First half of a surrogate pair whose second half is in the next piece."""
        self._origin = origin
        self._think_tags = ThinkTagSplitter(origin)
        self._finish_reason = ""
        self._choice_index: object = None
        """Index of the first choice. Only one answer is requested, so others are ignored."""
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
        # Some gateways wrap each chunk in another object.
        wrapped = (item for item in envelope.values() if isinstance(item, dict) and "choices" in item)
        value = envelope if envelope.get("choices") else next(wrapped, envelope)
        may_fail = not value.get("choices") or value.get("error") or name == "error"
        if may_fail and (error := error_in(value, is_error=name == "error")):
            raise error
        self._count(envelope)
        reasoning = text = ""
        for choice in self._own_choices(value):
            added_reasoning, added_text = self._read_choice(choice, value)
            reasoning += added_reasoning
            text += added_text
        if value is not envelope:
            self._count(value)
        if name == "done" or value.get("done") is True:
            self.is_over = True
            self._count({"usage": value})
        tagged, text = self._think_tags.feed(text) if text else ("", "")
        return self._to_chunks(reasoning + tagged, text)

    def _count(self, part: Mapping[str, Any]) -> None:
        """Add the token counts in an event or in one of its parts. A later zero does not replace a count."""
        for field in USAGE_FIELDS & part.keys():
            for name, count in counts_in(part[field]).items():
                self._usage[name] = count or self._usage.get(name, count)

    def read_pending(self) -> list[str | Reasoning]:
        """Return text that was held back because it looked like the beginning of a tag."""
        if self._origin and _lacks_opening_tag(self._content.text, CLOSING_LINE):
            UNOPENED.add(self._origin)
        tagged, text = self._think_tags.feed(self._content.held + "\ufffd" * bool(self._half))
        pending = self._think_tags.finish()
        for name, written in self._think_tags.calls:
            calls = [{"name": name, "arguments": written}] if name else json_objects_in(written)
            calls = [call for call in calls if isinstance(call.get("name"), str)]
            for call in calls:
                self._calls.add({"id": f"written_{len(self._calls)}", **call})
            text += "" if calls else written
        return self._to_chunks(self._reasoning.held + tagged + pending[0], text + pending[1])

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
        if FILTER_REASONS.search(self._finish_reason) and "malformed" not in self._finish_reason:
            raise LlmError(FILTERED.code, FILTERED.sentence, done=done)
        if FAILURE_REASONS.search(self._finish_reason):
            if self._length:
                raise LlmError("interrupted", INTERRUPTED, done=done)
            raise LlmError(UNAVAILABLE.code, UNAVAILABLE.sentence, done=done)
        if not (self._has_text or done.tool_calls):
            raise self._explain_empty_answer(done)
        return done

    def _explain_empty_answer(self, done: Done) -> LlmError:
        """Explain why there is no text. Some models count their reasoning but never send it."""
        if done.truncated:
            return LlmError("out_of_tokens", OUT_OF_TOKENS, done=done)
        has_reasoning = bool(self._reasoning_length or done.reasoning_tokens)
        return LlmError("empty", ONLY_REASONING if has_reasoning else EMPTY, done=done)

    @property
    def _is_truncated(self) -> bool:
        return max(self._length, self._reasoning_length) >= MAX_ANSWER_LENGTH

    def _to_chunks(self, reasoning: str, text: str) -> list[str | Reasoning]:
        reasoning = reasoning[: MAX_ANSWER_LENGTH - self._reasoning_length]
        text = text[: max(MAX_ANSWER_LENGTH - self._length, 0)]
        self._reasoning_length += len(reasoning)
        self._length += len(text)
        self.is_over |= self._is_truncated
        self._has_text = self._has_text or bool(text.strip())
        chunks: list[str | Reasoning] = [Reasoning(reasoning)] if reasoning else []
        if text:
            chunks.append(text)
        return chunks

    def _own_choices(self, value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the parts of the first choice. Some endpoints omit its index, or send no list of choices."""
        choices = value.get("choices")
        if not choices and (isinstance(value.get("message"), dict) or "delta" in value or "finish_reason" in value):
            choices = [value]
        for number, choice in enumerate(objects_in(choices)):
            index = to_key(choice.get("index"))
            if self._choice_index is None:
                self._choice_index = index
            if index == self._choice_index if index else number == 0:
                yield choice

    def _read_choice(self, choice: dict[str, Any], chunk: Mapping[str, Any]) -> tuple[str, str]:
        """Return the reasoning and the content that a choice adds."""
        if choice.get("error") and (error := error_in(choice)):
            raise error
        fields = self._fields_of(choice, chunk)
        content, reasoning = fields.get("content") or fields.get("text"), ""
        if not isinstance(content, str):
            reasoning, content = _texts_in(content)
        if not fields.keys() <= PLAIN_FIELDS:
            reasoning = self._read_other_fields(fields) + reasoning
            content += _join_texts(fields.get("refusal") or fields.get("audio"))
        if not content.isascii() or self._half:
            content = self._join_halves(content)
        return self._reasoning.add(reasoning), self._content.add(content)

    def _fields_of(self, choice: Mapping[str, Any], chunk: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that a choice adds. Endpoints put them into its delta or message, or beside these."""
        delta, message = choice.get("delta"), choice.get("message")
        delta = delta if isinstance(delta, dict) else {"content": delta}
        fields = {**choice, **delta}
        if reason := _finish_reason_in(choice, fields):
            self._finish_reason = reason
            if self._content.is_repeated_by(fields.get("content")):
                fields["content"] = ""
        if message and not any(value for name, value in delta.items() if name not in EMPTY_FIELDS):
            fields |= self._added_by(message) if isinstance(message, dict) else {"content": message}
            is_whole = "delta" not in choice and chunk.get("object") != "chat.completion.chunk" and "done" not in chunk
            self._finish_reason = self._finish_reason or "stop" * is_whole
        return fields

    def _read_other_fields(self, fields: Mapping[str, Any]) -> str:
        """Read token counts, tool calls and fields to send back. Return the reasoning."""
        self._count(fields)
        self._returned.add(fields)
        for name in CALL_FIELDS & fields.keys():
            for piece in objects_in(fields[name]):
                self._length += self._calls.add(piece)
        texts = (_join_texts(fields[name]) for name in REASONING_FIELDS if name in fields)
        return next(filter(None, texts), "")

    def _added_by(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a whole message without those that were already sent in pieces."""
        read = {*self._returned.names}
        if self._reasoning_length:
            read.update(REASONING_FIELDS)
        if self._calls:
            read.update(CALL_FIELDS)
        fields = {name: value for name, value in message.items() if name not in read}
        _, content = _texts_in(fields.get("content"))
        if sent := self._content.text:  # some endpoints repeat the whole message at the end
            fields["content"] = content.removeprefix(sent)
        elif _lacks_opening_tag(content, "</think>\n"):  # the prompt had the opening tag
            fields["content"] = f"<think>{content}"
        return fields

    def _join_halves(self, text: str) -> str:
        """Join surrogate pairs that are cut by pieces, and replace other halves."""
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def counts_in(usage: object) -> dict[str, Any]:
    """Return the token counts in the usage of an answer, also in objects for details."""
    parts = objects_in(usage)
    details = [item for part in parts for item in part.values() if isinstance(item, dict)]
    reported = {name: _to_count(value) for item in (*details, *parts) for name, value in item.items()}
    named = ((name, reported.get(field)) for name, fields in COUNT_FIELDS.items() for field in fields[::-1])
    counts: dict[str, Any] = {name: count for name, count in named if count is not None}
    # Google and xAI do not count the reasoning as a part of the answer.
    without_prompt = (reported.get("total_tokens") or 0) - counts.get("prompt_tokens", 0)
    if 0 < counts.get("completion_tokens", 0) < without_prompt and "prompt_tokens" in counts:
        counts["completion_tokens"] = without_prompt
    return counts


def _finish_reason_in(choice: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """Return why an answer ended, in lower case; empty if it continues."""
    reason = choice.get("finish_reason") or next(filter(None, map(fields.get, FINISH_FIELDS)), None)
    reason = str(reason).lower() if reason else ""
    return "" if reason in UNFINISHED else reason


def _lacks_opening_tag(content: str, closing_tag: str) -> bool:
    return closing_tag in content and "<think>" not in content


def _to_count(value: object) -> int | None:
    """Return a number of tokens, also of one sent as text; None for other values."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _texts_in(content: object) -> tuple[str, str]:
    """Return the reasoning and the text of a content: a text, or a list of parts as Mistral's models send it."""
    if isinstance(content, str):
        return "", content
    reasoning = text = ""
    for part in content if isinstance(content, list) else [content]:
        type_ = str(part.get("type", "")) if isinstance(part, dict) else ""
        if isinstance(part, dict) and ("thinking" in part or "think" in type_ or "reason" in type_):
            reasoning += _join_texts(part.get("thinking") or part.get("summary") or part)
        else:
            text += _join_texts(part)
    return reasoning, text


def _join_texts(value: object) -> str:
    """Return the text in a text, a number, an object with a text, or a list of these."""
    if isinstance(value, list):
        return "".join(_join_texts(item) for item in value if not isinstance(item, list))
    if isinstance(value, dict):
        value = value["text"] if isinstance(value.get("text"), dict) else value
        return next((item for name in TEXTS_OF_PARTS if isinstance(item := value.get(name), str)), "")
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return str(value) if is_text else ""
