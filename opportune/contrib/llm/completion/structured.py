"""Structured answers: instances of a Pydantic model."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from opportune.contrib.llm.providers.provider import LlmError, Message
from opportune.schemas import describe_errors

M = TypeVar("M", bound=BaseModel)

SCHEMA_RULE = "Answer with one JSON object that follows this JSON Schema, and with nothing else:\n{}"
CORRECTION = "That does not follow the schema. {} Answer with the whole corrected JSON object, and with nothing else."


async def parse(
    complete: Callable[[Sequence[Message]], Awaitable[str]], messages: Sequence[Message], into: type[M], attempts: int
) -> M:
    """Ask until the answer is valid. Each further attempt contains the validation errors of the last answer.

    Raises:
        LlmError: All answers were invalid ("malformed"), or a call failed.
    """
    conversation = [Message("system", SCHEMA_RULE.format(json.dumps(into.model_json_schema()))), *messages]
    for _ in range(attempts):
        answer = await complete(conversation)
        try:
            return into.model_validate_json(_extract_object(answer))
        except ValidationError as error:
            correction = CORRECTION.format(describe_errors(error))
            conversation += [Message("assistant", answer), Message("user", correction)]
    raise LlmError("malformed", "The model's answer did not have the requested form. Try again.")


def _extract_object(text: str) -> str:
    """Return the JSON object without text and code fences around it."""
    return text[text.find("{") : text.rfind("}") + 1]
