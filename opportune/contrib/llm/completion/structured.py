"""Structured answers: instances of a Pydantic model, or of another type such as a list of them."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError, create_model

from opportune.contrib.llm.providers.provider import LlmError, Message
from opportune.schemas import describe_errors

T = TypeVar("T")

SCHEMA_RULE = "Answer with one JSON object that follows this JSON Schema, and with nothing else:\n{}"
CORRECTION = "That does not follow the schema. {} Answer with the whole corrected JSON object, and with nothing else."


async def parse(
    complete: Callable[[Sequence[Message], Mapping[str, Any]], Awaitable[str]],
    messages: Sequence[Message],
    into: type[T],
    attempts: int,
) -> T:
    """Ask until the answer is valid. Each further attempt contains the validation errors of the last answer.

    Args:
        complete: Returns the answer to messages and a JSON Schema.
        messages: The conversation.
        into: Type of the result.
        attempts: Maximum number of calls.

    Raises:
        LlmError: All answers were invalid ("malformed"), or a call failed.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(into)
    is_object = adapter.json_schema().get("type") == "object"
    if not is_object:  # endpoints require an object
        adapter = TypeAdapter(create_model("Answer", result=(into, ...)))
    schema = adapter.json_schema()
    conversation = [Message("system", SCHEMA_RULE.format(json.dumps(schema))), *messages]
    for _ in range(attempts):
        answer = await complete(conversation, schema)
        try:
            value = adapter.validate_json(_extract_json(answer, is_object=is_object))
        except ValidationError as error:
            correction = CORRECTION.format(describe_errors(error))
            conversation += [Message("assistant", answer), Message("user", correction)]
        else:
            result: T = value if is_object else value.result
            return result
    raise LlmError("malformed", "The model's answer did not have the requested form. Try again.")


def _extract_json(text: str, *, is_object: bool) -> str:
    """Return the JSON object without text and code fences around it. Some models omit the object around a list."""
    if not is_object and -1 < text.find("[") < (text.find("{") if "{" in text else len(text)):
        return f'{{"result": {text[text.find("[") : text.rfind("]") + 1]}}}'
    return text[text.find("{") : text.rfind("}") + 1]
