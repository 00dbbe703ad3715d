"""Questions with the properties that their answers must have, to see what a model is good for."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from opportune.errors import OperatorError

EXAMPLES = Path(__file__).with_name("questions.toml")


class Question(BaseModel):
    """What a model is asked, and what must be true of its answer: letters count in either case, but for `matches`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ask: str = Field(min_length=1)
    system: str = ""
    """What the model is told beforehand."""
    contains: tuple[str, ...] = ()
    """All of these are in the answer."""
    contains_any: tuple[str, ...] = ()
    """At least one of these is."""
    lacks: tuple[str, ...] = ()
    """None of these is."""
    matches: str = ""
    """A regular expression that finds something in it."""
    max_words: int | None = Field(default=None, ge=1)
    is_json: bool = False

    @field_validator("matches")
    @classmethod
    def _is_an_expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _asks_for_something(self) -> "Question":
        if not (self.model_fields_set - {"ask", "system"}):
            raise ValueError("says nothing of the answer: contains, contains_any, lacks, matches, max_words or is_json")
        return self

    def faults(self, answer: str) -> Iterator[str]:
        """What an answer lacks, in words."""
        said = answer.casefold()
        yield from (f"lacks {part!r}" for part in self.contains if part.casefold() not in said)
        yield from (f"has {part!r}" for part in self.lacks if part.casefold() in said)
        if self.contains_any and not any(part.casefold() in said for part in self.contains_any):
            yield f"has none of {', '.join(map(repr, self.contains_any))}"
        if not re.search(self.matches, answer):
            yield f"does not match {self.matches}"
        if self.max_words and (words := len(answer.split())) > self.max_words:
            yield f"has {words} words"
        if self.is_json and not _is_json(answer):
            yield "is no JSON"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def read_questions(path: Path) -> list[Question]:
    """The questions of a TOML file, each a table `[[question]]`.

    Raises:
        OperatorError: with the file and what is wrong there.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("question", [])
        found = [Question.model_validate(table) for table in tables]
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        words = fault["msg"].removeprefix("Value error, ")
        asked = fault["input"].get("ask") if isinstance(fault["input"], dict) else fault["input"]
        raise OperatorError(f"{path}: {where and f'{where}: '}{words} ({asked!r:.60}).") from None
    except (ValueError, TypeError) as error:  # of TOML, of UTF-8, or `question` is no list
        raise OperatorError(f"{path}: {error}") from None
    if not found:
        raise OperatorError(f"{path} asks nothing: begin a question with [[question]].")
    return found
