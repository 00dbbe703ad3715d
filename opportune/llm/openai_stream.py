"""Reads an answer from the chunks of the OpenAI streaming format."""

from dataclasses import replace
from typing import Any

from pydantic import Field, ValidationError

from opportune.llm.errors import error_for_status
from opportune.llm.provider import Done, LLMError, ToolCall
from opportune.schemas import Schema

MAX_ANSWER_LENGTH = 200_000
MAX_TOOL_CALLS = 16
"""What a model may ask for at once."""
DONE_MARKER = b"[DONE]"
TRUNCATED_REASONS = {"length", "content_filter"}


class _Function(Schema):
    name: str | None = None
    arguments: str | None = None


class _CallPiece(Schema):
    index: int = Field(default=0, ge=0, lt=MAX_TOOL_CALLS)
    id: str | None = None
    function: _Function | None = None


class _Delta(Schema):
    content: str | None = None
    tool_calls: list[_CallPiece] | None = None


class _Choice(Schema):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(Schema):
    cached_tokens: int | None = None


class _Usage(Schema):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Chunk(Schema):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


class ChatCompletionReader:
    """Reads one answer as it grows, and knows whether it came to its end."""

    def __init__(self) -> None:
        self._length = 0
        self._reason: str | None = None
        self._usage = _Usage()
        self._calls: dict[int, ToolCall] = {}
        self.over = False
        """Nothing after this is of interest."""

    @property
    def finished(self) -> bool:
        return self.over or self._reason is not None

    def take(self, data: bytes) -> str:
        """Return the text that one event's data adds.

        Raises:
            LLMError: the data is not a chunk, or it reports an error.
        """
        if data == DONE_MARKER:
            self.over = True
            return ""
        chunk = _parse(data)
        self._usage = chunk.usage or self._usage
        return self._add("".join(self._text_of(choice) for choice in chunk.choices or ()))

    def finish(self) -> Done:
        """Close the answer.

        Raises:
            LLMError: it broke off, or it is empty.
        """
        if not self.finished:
            raise LLMError("interrupted", "The answer broke off before its end.")
        calls = tuple(self._calls[index] for index in sorted(self._calls))
        if not (self._length or calls):
            raise LLMError("empty", "The model gave an empty answer.")
        truncated = self._length >= MAX_ANSWER_LENGTH or self._reason in TRUNCATED_REASONS
        usage, details = self._usage, self._usage.prompt_tokens_details
        return Done(
            *(usage.prompt_tokens, usage.completion_tokens, truncated),
            tool_calls=calls,
            cached_tokens=details.cached_tokens if details else None,
        )

    def _text_of(self, choice: _Choice) -> str:
        self._reason = choice.finish_reason or self._reason
        for piece in (choice.delta and choice.delta.tool_calls) or ():
            self._take_call(piece)
        return (choice.delta and choice.delta.content) or ""

    def _take_call(self, piece: _CallPiece) -> None:
        """Name and id come once, the arguments in pieces; some endpoints give no id."""
        called = piece.function or _Function()
        call = self._calls.setdefault(piece.index, ToolCall(piece.id or f"call_{piece.index}", "", ""))
        arguments = call.arguments + self._add(called.arguments or "")
        self._calls[piece.index] = replace(call, name=call.name or called.name or "", arguments=arguments)

    def _add(self, text: str) -> str:
        text = text[: MAX_ANSWER_LENGTH - self._length]
        self._length += len(text)
        self.over = self._length >= MAX_ANSWER_LENGTH
        return text


def _parse(data: bytes) -> _Chunk:
    try:
        chunk = _Chunk.model_validate_json(data)
    except ValidationError:
        raise LLMError("malformed", "The model's endpoint sent something that is not part of an answer.") from None
    if chunk.error:
        code = chunk.error.get("code") if isinstance(chunk.error, dict) else None
        raise error_for_status(code if isinstance(code, int) else 500)
    return chunk
