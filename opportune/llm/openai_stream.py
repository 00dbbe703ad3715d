"""Reads an answer from the chunks of the OpenAI streaming format."""

from typing import Any

from pydantic import ValidationError

from opportune.llm.errors import error_for_status
from opportune.llm.provider import Done, LLMError
from opportune.schemas import Schema

MAX_ANSWER_LENGTH = 200_000
DONE_MARKER = b"[DONE]"
TRUNCATED_REASONS = {"length", "content_filter"}


class _Delta(Schema):
    content: str | None = None


class _Choice(Schema):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(Schema):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


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
        if not self._length:
            raise LLMError("malformed", "The model gave an empty answer.")
        truncated = self._length >= MAX_ANSWER_LENGTH or self._reason in TRUNCATED_REASONS
        return Done(self._usage.prompt_tokens, self._usage.completion_tokens, truncated)

    def _text_of(self, choice: _Choice) -> str:
        self._reason = choice.finish_reason or self._reason
        return (choice.delta and choice.delta.content) or ""

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
