"""Answers that are data: what a Pydantic model describes, read out of what a language model says."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from opportune.llm.providers.provider import LLMError, Message
from opportune.schemas import faults_in_words

M = TypeVar("M", bound=BaseModel)

RULES = "Answer with one JSON object that follows this JSON Schema, and with nothing else:\n{}"
AGAIN = "That does not follow the schema. {} Answer with the whole corrected JSON object, and with nothing else."


async def parse(
    complete: Callable[[Sequence[Message]], Awaitable[str]], messages: Sequence[Message], into: type[M], attempts: int
) -> M:
    """Ask until the answer is what the model describes; each further attempt tells what was wrong with the last.

    Raises:
        LLMError: it never was ("malformed"), or there was no answer.
    """
    asked = [Message("system", RULES.format(json.dumps(into.model_json_schema()))), *messages]
    for _ in range(attempts):
        said = await complete(asked)
        try:
            return into.model_validate_json(_object_in(said))
        except ValidationError as error:
            asked += [Message("assistant", said), Message("user", AGAIN.format(faults_in_words(error)))]
    raise LLMError("malformed", "The model's answer was not what was asked for. Try again.")


def _object_in(text: str) -> str:
    """The JSON in an answer: models like to put words and a code fence around it."""
    return text[text.find("{") : text.rfind("}") + 1]
