"""Reader of answers in the OpenAI streaming format."""

from dataclasses import replace
from typing import Any

from pydantic import Field, ValidationError

from opportune.contrib.llm.providers.errors import error_for_status
from opportune.contrib.llm.providers.provider import EMPTY, INTERRUPTED, Done, LlmError, Reasoning, ToolCall
from opportune.contrib.llm.providers.think_tags import ThinkTagSplitter
from opportune.i18n import gettext_lazy as _l
from opportune.schemas import Schema

MAX_ANSWER_LENGTH = 200_000
MAX_REASONING_LENGTH = 200_000
MAX_TOOL_CALLS = 16
"""Maximum number of tool calls in one reply."""
DONE_MARKER = b"[DONE]"
TRUNCATED_REASONS = {"length", "content_filter"}

OUT_OF_TOKENS = _l(
    "The model used up the length of its answer for thinking, before it began to write. Ask for less, or try again."
)
ONLY_REASONING = _l("The model thought, but gave no answer. Try again.")


class _Function(Schema):
    name: str | None = None
    arguments: str | None = None


class _CallFragment(Schema):
    index: int = Field(default=0, ge=0, lt=MAX_TOOL_CALLS)
    id: str | None = None
    function: _Function | None = None


class _Part(Schema):
    """Part of a list of contents, as sent by Mistral's reasoning models."""

    text: Any = None
    thinking: Any = None
    """Reasoning as a text or a list of parts."""


class _Delta(Schema):
    content: str | list[_Part] | None = None
    reasoning_content: Any = None
    """Reasoning of DeepSeek, Qwen and llama.cpp."""
    reasoning: Any = None
    """Reasoning of OpenRouter, Groq, Ollama and newer vLLM. Some send the same text in both fields."""
    tool_calls: list[_CallFragment] | None = None

    @property
    def text(self) -> str:
        if not isinstance(self.content, list):
            return self.content or ""
        return "".join(_join_texts(part.text) for part in self.content)

    @property
    def reasoning_text(self) -> str:
        field = next(filter(None, map(_join_texts, (self.reasoning_content, self.reasoning))), "")
        parts = self.content if isinstance(self.content, list) else []
        return field + "".join(_join_texts(part.thinking) for part in parts)


def _join_texts(value: Any) -> str:
    """Return the text of a field that holds a text or a list of parts with texts."""
    if isinstance(value, list):
        return "".join(_join_texts(part.get("text")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


class _Choice(Schema):
    index: Any = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(Schema):
    cached_tokens: int | None = None


class _CompletionDetails(Schema):
    reasoning_tokens: int | None = None


class _Usage(Schema):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(Schema):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


class ChatCompletionReader:
    """Reads the chunks of one answer."""

    def __init__(self) -> None:
        self._length = 0
        self._has_text = False
        self._reasoning_length = 0
        self._think_tags = ThinkTagSplitter()
        self._finish_reason: str | None = None
        self._choice_index: Any = None
        """Index of the first choice. Only one answer is requested, so others are ignored."""
        self._usage = _Usage()
        self._calls: dict[int, ToolCall] = {}
        self.is_over = False
        """True if the remaining stream can be ignored."""

    @property
    def is_finished(self) -> bool:
        """True if only token counts can follow."""
        return self.is_over or self._finish_reason is not None

    def read_event(self, data: bytes) -> list[str | Reasoning]:
        """Return the reasoning and text added by the data of one event.

        Raises:
            LlmError: The data is not a chunk, or reports an error.
        """
        if data == DONE_MARKER:
            self.is_over = True
            return []
        chunk = _parse(data)
        self._usage = chunk.usage or self._usage
        choices = [choice for choice in chunk.choices or () if self._is_first_choice(choice)]
        reasoning_text = "".join(choice.delta.reasoning_text for choice in choices if choice.delta)
        reasoning, text = self._think_tags.feed("".join(self._read_choice(choice) for choice in choices))
        return self._to_chunks(reasoning_text + reasoning, text)

    def read_pending(self) -> list[str | Reasoning]:
        """Return text that was held back because it looked like the beginning of a tag."""
        return self._to_chunks(*self._think_tags.finish())

    def finish(self) -> Done:
        """Return the token counts and tool calls of the complete answer.

        Raises:
            LlmError: The answer was interrupted or is empty.
        """
        if not self.is_finished:
            raise LlmError("interrupted", INTERRUPTED)
        done = self._make_done()
        if not (self._has_text or done.tool_calls):
            raise self._explain_empty_answer(done)
        return done

    def _make_done(self) -> Done:
        usage = self._usage
        prompt_details, completion_details = usage.prompt_tokens_details, usage.completion_tokens_details
        return Done(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            truncated=self._is_truncated or self._finish_reason in TRUNCATED_REASONS,
            tool_calls=tuple(self._calls[index] for index in sorted(self._calls)),
            cached_tokens=prompt_details.cached_tokens if prompt_details else None,
            reasoning_tokens=completion_details.reasoning_tokens if completion_details else None,
        )

    def _explain_empty_answer(self, done: Done) -> LlmError:
        """Explain why there is no text. Some models count their reasoning but never send it."""
        if self._finish_reason == "length" or self._is_truncated:
            return LlmError("out_of_tokens", OUT_OF_TOKENS, done=done)
        has_reasoning = bool(self._reasoning_length or done.reasoning_tokens)
        return LlmError("empty", ONLY_REASONING if has_reasoning else EMPTY, done=done)

    @property
    def _is_truncated(self) -> bool:
        return self._length >= MAX_ANSWER_LENGTH or self._reasoning_length >= MAX_REASONING_LENGTH

    def _to_chunks(self, reasoning: str, text: str) -> list[str | Reasoning]:
        reasoning, text = self._limit_reasoning(reasoning), self._limit_text(text)
        self._has_text = self._has_text or bool(text.strip())
        return [*([Reasoning(reasoning)] if reasoning else []), *([text] if text else [])]

    def _is_first_choice(self, choice: _Choice) -> bool:
        """Return True for the choice that was sent first. Some endpoints omit the index."""
        self._choice_index = choice.index if self._choice_index is None else self._choice_index
        return choice.index is None or choice.index == self._choice_index

    def _read_choice(self, choice: _Choice) -> str:
        self._finish_reason = choice.finish_reason or self._finish_reason
        for fragment in (choice.delta and choice.delta.tool_calls) or ():
            self._add_call_fragment(fragment)
        return choice.delta.text if choice.delta else ""

    def _add_call_fragment(self, fragment: _CallFragment) -> None:
        """Add a fragment of a tool call. Only arguments are split into fragments; some endpoints omit the id."""
        function = fragment.function or _Function()
        call = self._calls.setdefault(fragment.index, ToolCall(fragment.id or f"call_{fragment.index}", "", ""))
        arguments = call.arguments + self._limit_text(function.arguments or "")
        self._calls[fragment.index] = replace(call, name=call.name or function.name or "", arguments=arguments)

    def _limit_text(self, text: str) -> str:
        """Cut text at the maximum length of an answer, which ends the answer."""
        text = text[: MAX_ANSWER_LENGTH - self._length]
        self._length += len(text)
        self.is_over |= self._is_truncated
        return text

    def _limit_reasoning(self, text: str) -> str:
        text = text[: MAX_REASONING_LENGTH - self._reasoning_length]
        self._reasoning_length += len(text)
        self.is_over |= self._is_truncated
        return text


def _parse(data: bytes) -> _Chunk:
    try:
        chunk = _Chunk.model_validate_json(data)
    except ValidationError:
        raise LlmError("malformed", "The model's endpoint sent something that is not part of an answer.") from None
    if chunk.error:
        code = chunk.error.get("code") if isinstance(chunk.error, dict) else None
        raise error_for_status(code if isinstance(code, int) else 500)
    return chunk
