"""`llm`: lists of models, questions, evaluations with their TOML files, and the switch."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest

from opportune.admin.models import AuditEntry
from opportune.cli import transaction
from opportune.cli.main import main
from opportune.config.settings import Settings
from opportune.contrib.llm import Chunk, Done, LlmError, LlmModel, Message, Provider
from opportune.contrib.llm.evaluation import Question, read_questions
from opportune.db import Database
from opportune.errors import OperatorError
from tests.opportune.cli.conftest import Oppman
from tests.opportune.stored_rows import read_all


class EchoProvider(Provider):
    """Provider that repeats the messages, with another ending for each model."""

    def __init__(self, _settings: Settings, model: LlmModel) -> None:
        self.name, self.context_budget, self.model = model.name, 1_000, model.model

    async def stream(self, messages: Sequence[Message], **_: Any) -> AsyncGenerator[Chunk, None]:
        if self.model == "mute":
            raise LlmError("unauthorised", "The key is refused.")
        yield " ".join(message.content for message in messages)
        yield self.model
        yield Done(1_000, 2_000)


def model(name: str, ending: str, **options: object) -> dict[str, object]:
    return {"name": name, "model": ending, "provider": f"{__name__}:EchoProvider", **options}


POLLY = model("Polly", "!", price_per_million_prompt_tokens=1, price_per_million_answer_tokens=2, calls_tools=True)
QUIET = model("Quiet", "…", context_tokens=128_000, fallback="Polly")
MODELS = json.dumps([POLLY, QUIET, model("Mute", "mute")])


@pytest.fixture
def run(oppman: Oppman, monkeypatch: pytest.MonkeyPatch) -> Oppman:
    monkeypatch.setenv("LLM_MODELS", MODELS)
    return oppman


def test_models_are_listed_with_prices_and_abilities(run: Oppman) -> None:
    heading, polly, quiet, _ = run("llm", "list").out.splitlines()
    assert heading.split() == ["NAME", "MODEL", "AT", "CONTEXT", "PROMPT", "ANSWER", "CAN", "FALLBACK"]
    assert polly.split() == ["Polly", "!", f"{__name__}:EchoProvider", "12,288", "1", "2", "tools"]
    assert quiet.split() == ["Quiet", "…", f"{__name__}:EchoProvider", "128,000", "Polly"]


def test_json_list_has_no_keys(oppman: Oppman) -> None:
    models = json.dumps([{"name": "Remote", "base_url": "https://ada:sesame@llm.example/v1", "api_key": "sesame"}])
    out = oppman("llm", "list", "--json", LLM_MODELS=models).out
    assert [row["name"] for row in json.loads(out)] == ["Remote"]
    assert "sesame" not in out


def test_ask_prints_answer_and_time(run: Oppman, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = run("llm", "ask", "Hello", "--system", "Repeat:")
    assert (code, out) == (0, "Repeat: Hello!\n")
    assert err.startswith("Polly: first chunk after 0.0")
    assert err.endswith("1000 + 2000 tokens, 0.005\n")
    assert run("-q", "llm", "ask", "Hello").err == ""
    assert run("llm", "ask", "caf\udce9").out == "caf?!\n", "an argument that is not UTF-8"
    assert run("llm", "ask", "\x1b[31mred\n\x07").out == "?[31mred\n?!\n", "no commands of the terminal"
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(b"caf\xe9")))
    assert run("llm", "ask", "-").out == "caf\ufffd!\n"
    (answer,) = json.loads(run("llm", "ask", "Hello", "--json").out)
    assert (answer["model"], answer["text"], answer["cost"], answer["error"]) == ("Polly", "Hello!", "0.005", "")


def test_all_models_get_the_same_question(run: Oppman) -> None:
    code, out, _ = run("llm", "ask", "Hello", "--all")
    heading, *rows = out.splitlines()
    assert (code, heading.split()) == (1, ["MODEL", "FIRST", "S", "ALL", "S", "TOKENS/S", "TOKENS", "COST", "ANSWER"])
    assert [row.split()[0] for row in rows] == ["Polly", "Quiet", "Mute"]
    assert rows[0].endswith("0.005  Hello!")
    assert rows[2].endswith("The key is refused.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", "Hello", "--model", "Poly"], "There is no model Poly. Available: Polly, Quiet, Mute."),
        (["evaluate", "none.toml"], "none.toml cannot be read: No such file or directory."),
        (["ask", "Hello", "--model", "Mute", "--quiet"], "Mute: The key is refused."),
    ],
)
def test_refusals(run: Oppman, arguments: list[str], message: str) -> None:
    code, out, err = run("llm", *arguments)
    assert (code, out, err) == (1, "", f"{message}\n")


QUESTIONS = """
[[question]]
ask = "Parrots"
contains = ["parrots!"]

[[question]]
ask = "Two words"
max_words = 1
"""


def test_evaluate_checks_answers(run: Oppman, tmp_path: Path) -> None:
    path = tmp_path / "birds.toml"
    path.write_text(QUESTIONS, encoding="utf-8")
    code, out, _ = run("llm", "evaluate", str(path), "--model", "Polly")
    heading, correct_row, wrong_row, summary = out.splitlines()
    assert (code, heading.split()) == (1, ["MODEL", "QUESTION", "RESULT", "SECONDS", "ANSWER"])
    assert [*correct_row.split()[:3], *wrong_row.split()[-1:]] == ["Polly", "Parrots", "ok", "words!"]
    assert "has 2 words" in wrong_row
    assert re.sub(r"[\d.]+ s", "… s", summary) == "Polly: 1 of 2 as expected, … s, 0.010"
    path.write_text(QUESTIONS.partition("\n\n")[0], encoding="utf-8")
    assert run("llm", "evaluate", str(path)).code == 0


async def test_answers_are_switched_off_and_on(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transaction, "get_settings", lambda: settings)
    for command in ("off", "off", "on", "on"):
        assert await asyncio.to_thread(main, ["llm", command]) == 0
    off, still_off, on, still_on = capsys.readouterr().out.splitlines()
    assert (off, on) == ("Switched answers of language models off.", "Switched answers of language models on.")
    assert (still_off, still_on) == tuple(f"Answers of language models are already {state}." for state in ("off", "on"))
    entries = [(entry.actor, entry.action) for entry in await read_all(database, AuditEntry)]
    assert entries == [("oppman.py", "switch-llm-off"), ("oppman.py", "switch-llm-on")]


@pytest.mark.parametrize(
    ("expected", "answer", "faults"),
    [
        ({"contains": ["Paris", "France"]}, "Paris", ["lacks 'France'"]),
        ({"contains_any": ["blue", "azure"]}, "red", ["has none of 'blue', 'azure'"]),
        ({"lacks": ["sorry"]}, "Sorry!", ["has 'sorry'"]),
        ({"matches": r"\b42\b"}, "It is 421.", [r"does not match \b42\b"]),
        ({"max_words": 2}, "one two three", ["has 3 words"]),
        ({"is_json": True}, "```json", ["is not JSON"]),
    ],
)
def test_answer_is_compared_with_expectations(expected: dict[str, object], answer: str, faults: list[str]) -> None:
    assert [*Question.model_validate({"ask": "Well?", **expected}).faults(answer)] == faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[question]", "Expected"),
        ("question = 1", "question: Input should be a valid list"),
        ('[[question]]\nask = "Well?"', "question 1: needs one of contains"),
        ('[[question]]\nask = "Well?"\ncontain = ["x"]', "question 1: contain: Extra inputs"),
        ('[[question]]\nask = "Well?"\nmatches = "("', "question 1: matches: Input should be a valid regular"),
    ],
)
def test_mistake_in_a_question_file_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OperatorError, match=message) as caught:
        read_questions(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
