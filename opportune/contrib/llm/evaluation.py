"""Questions with expected properties of their answers, to evaluate models."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from opportune.contrib.llm.providers.loose_json import json_in
from opportune.errors import OperatorError
from opportune.project.text_files import read_text

EXAMPLES = Path(__file__).with_name("questions.toml")


class Question(BaseModel):
    """A question and the expected properties of its answer. Comparisons ignore case, except `matches`.

    Attributes:
        ask: The question.
        system: System message.
        contains: Strings that must all occur.
        contains_any: Strings of which one must occur.
        lacks: Strings that must not occur.
        matches: Regular expression that must match.
        max_words: Maximum number of words.
        is_json: True if the answer must be JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ask: str = Field(min_length=1)
    system: str = ""
    contains: tuple[str, ...] = ()
    contains_any: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    matches: re.Pattern[str] = re.compile("")
    max_words: int | None = Field(default=None, ge=1)
    is_json: bool = False

    @model_validator(mode="after")
    def _require_expectation(self) -> "Question":
        if not (self.model_fields_set - {"ask", "system"}):
            raise ValueError("needs one of contains, contains_any, lacks, matches, max_words and is_json")
        return self

    def faults(self, answer: str) -> Iterator[str]:
        """Yield descriptions of unmet expectations."""
        folded = answer.casefold()
        yield from (f"lacks {part!r}" for part in self.contains if part.casefold() not in folded)
        yield from (f"has {part!r}" for part in self.lacks if part.casefold() in folded)
        if self.contains_any and not any(part.casefold() in folded for part in self.contains_any):
            yield f"has none of {', '.join(map(repr, self.contains_any))}"
        if not self.matches.search(answer):
            yield f"does not match {self.matches.pattern}"
        if self.max_words and (words := len(answer.split())) > self.max_words:
            yield f"has {words} words"
        if self.is_json and json_in(answer) is None:
            yield "is not JSON"


def _describe(error: ValidationError) -> str:
    """Return the first fault with its question and field."""
    fault = error.errors()[0]
    number, *fields = fault["loc"] or ("",)
    place = f"question {int(number) + 1}" if fault["loc"] else "question"
    return ": ".join([place, *map(str, fields), fault["msg"].removeprefix("Value error, ")])


def read_questions(path: Path) -> list[Question]:
    """Read the `[[question]]` tables of a TOML file.

    Raises:
        OperatorError: The file is missing or invalid.
    """
    try:
        tables = tomllib.loads(read_text(path)).get("question", [])
        questions = TypeAdapter(list[Question]).validate_python(tables)
    except ValidationError as error:
        raise OperatorError(f"{path}: {_describe(error)}.") from None
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"{path} is not TOML: {error}.") from None
    if not questions:
        raise OperatorError(f"{path} has no questions. Start each with [[question]].")
    return questions
