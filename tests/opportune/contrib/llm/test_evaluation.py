"""Questions with expected properties of the answers, and mistakes in their TOML files."""

from pathlib import Path

import pytest

from opportune.contrib.llm.evaluation import Question, read_questions
from opportune.errors import OperatorError


@pytest.mark.parametrize(
    ("expected", "answer", "faults"),
    [
        ({"contains": ["Paris", "France"]}, "PARIS, in france", []),
        ({"contains": ["Paris", "France"]}, "Paris", ["lacks 'France'"]),
        ({"contains_any": ["blue", "azure"]}, "Azure", []),
        ({"contains_any": ["blue", "azure"]}, "red", ["has none of 'blue', 'azure'"]),
        ({"lacks": ["sorry"]}, "Sorry!", ["has 'sorry'"]),
        ({"matches": r"\b42\b"}, "It is 42.", []),
        ({"matches": r"\b42\b"}, "It is 421.", [r"does not match \b42\b"]),
        ({"max_words": 2}, "one two three", ["has 3 words"]),
        ({"is_json": True}, '{"a": 1}', []),
        ({"is_json": True}, "```json", ["is not JSON"]),
    ],
)
def test_answer_is_compared_with_expectations(expected: dict[str, object], answer: str, faults: list[str]) -> None:
    assert [*Question.model_validate({"ask": "Well?", **expected}).faults(answer)] == faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no questions"),
        ("[[question]", "Expected"),
        ("question = 3", "not iterable"),
        ('[[question]]\nask = "Well?"', "needs one of contains"),
        ('[[question]]\nask = "Well?"\ncontain = ["x"]', "question.*contain: Extra inputs"),
        ('[[question]]\nask = "Well?"\nmatches = "("', "matches: is not a regular expression"),
        ("[[question]]\nmax_words = 3", "ask: Field required"),
    ],
)
def test_mistake_in_a_question_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OperatorError, match=message.removeprefix("question.*")) as caught:
        read_questions(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
