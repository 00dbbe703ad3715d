"""`llm evaluate --judge`: scores, comparisons, costs, interruptions, and the page in the admin."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.cli.main import main
from opportune.config import LlmModel, Settings
from opportune.contrib.answers.models import Answer, AnswerStatus, Rating
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.evaluation.judge import Verdict
from opportune.contrib.evaluation.models import EvaluationRun, EvaluationVerdict, Outcome
from opportune.contrib.llm import Chunk, Done, LlmError, Message, Provider
from opportune.db import Database
from tests.opportune.stored_rows import add_rows, delete_row, read_all, read_one

Evaluate = Callable[..., Awaitable[tuple[int, str, str]]]

FAULTS: list[int] = []
"""Number of answers until the model Broken fails."""


class BirdProvider(Provider):
    """Candidates say their name. Judges prefer an owl, or the first answer, or write nonsense."""

    def __init__(self, _settings: Settings, model: LlmModel) -> None:
        self.name, self.context_budget = model.name, 10_000

    async def stream(self, messages: Sequence[Message], **_: Any) -> AsyncGenerator[Chunk, None]:
        text = messages[-1].content
        if self.name == "Broken" and not FAULTS:
            raise LlmError("unavailable", "The model is unavailable.")
        if self.name == "Broken":
            FAULTS.pop()
        if self.name == "Prude" and "Who?" in text:
            raise LlmError("filtered", "The content filter stopped this answer.")
        if self.name == "Nonsense":
            yield "Birds\0!"
        elif self.name not in ("Judge", "First", "Prude"):
            yield "I am a parrot." if self.name == "Parrot" else "I am an owl."
        elif "then a score" in f"{messages}":
            yield json.dumps({"reason": "", "score": 5 if "I am an owl" in text else 2})
        else:
            is_first = self.name == "First" or 0 <= text.find("I am an owl") < text.find("I am a parrot")
            yield json.dumps({"reason": "", "better": "A" if is_first else "B"})
        yield Done(100, 10)


NAMES = ("Owl", "Parrot", "Judge", "First", "Nonsense", "Prude", "Broken")
PRICES = {"price_per_million_prompt_tokens": 1, "price_per_million_answer_tokens": 2}
SHARED = {"provider": f"{__name__}:BirdProvider", **PRICES}
MODELS = [LlmModel.model_validate({"name": name, "model": name, **SHARED}) for name in NAMES]


@pytest.fixture
async def evaluate(
    settings: Settings, user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Evaluate:
    sites = [settings.model_copy(update={"llm_models": MODELS, "llm_retries": 0})]

    async def run(*arguments: str, **limits: int) -> tuple[int, str, str]:
        site = sites[0].having(AnswersSettings(**limits)) if limits else sites[0]  # type: ignore[arg-type]
        for module in ("opportune.cli.transaction", "opportune.contrib.llm.commands"):
            monkeypatch.setattr(f"{module}.get_settings", lambda: site)
        code = await asyncio.to_thread(main, ["llm", "evaluate", *arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
async def ratings(database: Database, user: User) -> list[Answer]:
    texts = [("I am an owl.", Rating.UP), ("I am an owl.", Rating.DOWN), ("I am a parrot.", Rating.DOWN)]
    shared: dict[str, Any] = {"owner_id": user.id, "question": "Which bird?", "status": AnswerStatus.DONE}
    answers = [Answer(**shared, text=text, rating=rating) for text, rating in texts]
    stopped = Answer(owner_id=user.id, question="Which?", rating=Rating.UP, status=AnswerStatus.STOPPED)
    await add_rows(database, *answers, Answer(**shared, text="?"), stopped)
    return answers


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "birds.jsonl"
    lines = '{"question": "Which bird?", "expected": "an\u2028owl"}\r\r{"question": "Who?"}\r\n'
    path.write_text(lines, encoding="utf-8-sig")
    return str(path)


async def test_judge_grades_rated_answers(evaluate: Evaluate, ratings: list[Answer]) -> None:
    code, out, err = await evaluate("--judge", "Judge", "--yes")
    first, models, result = out.splitlines()
    assert (code, err) == (0, "")
    assert first.startswith("3 questions: 0 answers and 3 verdicts, about 0.00")
    assert models == "Sends questions and answers to Judge."
    assert result.startswith("stored answers: mean score 4.00, undecided 0. Agrees with 2 of 3 ratings. ")
    assert result.endswith(" 3 of 3 questions judged by Judge, cost 0.00036.")


@pytest.mark.parametrize(
    ("judge", "models", "result"),
    [
        ("Judge", ["Parrot", "Owl"], "Parrot 0, Owl 2, tie 0, undecided 0."),
        pytest.param("First", ["Parrot", "Owl"], "Parrot 0, Owl 0, tie 2, undecided 0.", id="prefers a position"),
        pytest.param("Prude", ["Owl"], "Owl: mean score 5.00, undecided 1.", id="refuses a question"),
        pytest.param("Nonsense", ["Owl"], "Owl: mean score none, undecided 2.", id="gives no verdict"),
    ],
)
@pytest.mark.database("sqlite", "postgresql")
async def test_judge_compares_or_grades_models(
    evaluate: Evaluate, questions: str, judge: str, models: list[str], result: str
) -> None:
    options = [part for name in models for part in ("--model", name)]
    code, out, _ = await evaluate("--judge", judge, "--questions", questions, *options, "--yes")
    assert code == 0
    assert out.splitlines()[-1].startswith(result)


async def test_interrupted_run_continues(evaluate: Evaluate, questions: str) -> None:
    arguments = ("--judge", "Judge", "--questions", questions, "--model", "Broken", "--yes")
    FAULTS.append(1)
    code, out, err = await evaluate(*arguments)
    assert (code, "1 of 2 questions judged" in out) == (1, True)
    assert err == "The model is unavailable. The verdicts are stored. Run the command again to continue.\n"
    FAULTS.append(1)
    code, out, err = await evaluate(*arguments)
    assert (code, err, "2 of 2 questions judged" in out) == (0, "", True)
    assert out.startswith("Continuing evaluation 1: 1 of 2 questions judged.\n1 question: 1 answer and 1 verdict")


async def test_limit_of_costs_keeps_verdicts(evaluate: Evaluate, questions: str, database: Database) -> None:
    arguments = ("--judge", "Judge", "--questions", questions, "--model", "Owl", "--yes")
    code, _, err = await evaluate(*arguments, llm_max_tokens_per_day=1)
    assert (code, err.endswith("The verdicts are stored. Run the command again to continue.\n")) == (1, True)
    assert (await read_one(database, EvaluationRun)).finished_at is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--judge", "Judge"], "There are no answers with a rating. Rate some in the chat, or use --questions"),
        (["--judge", "Eagle"], "There is no model Eagle. Available: Owl, Parrot"),
        (["--judge", "Judge", "--model", "Owl", "--model", "Owl"], "A judge compares two different models."),
        (["--judge", "Judge", "x.toml"], "Files with expectations need no judge. Use --questions"),
        (["--judge", "Judge", "--questions", "none.jsonl"], "none.jsonl cannot be read: No such file"),
    ],
)
async def test_wrong_options_are_one_line(evaluate: Evaluate, arguments: list[str], message: str) -> None:
    code, out, err = await evaluate(*arguments, "--yes")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'has no questions. Write one per line: {"question"'),
        ('{"question": "Who?"}\n{"question": ""}', "line 2: question: String should have at least 1 character"),
        ('{"ask": "Who?"}', "line 1: question: Field required"),
        ('{"question": "Who\\u0000?"}', "line 1: question: Value error, must not contain the character NUL"),
        ("\xff", "cannot be read: "),
    ],
)
async def test_wrong_question_file_is_one_line(evaluate: Evaluate, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.jsonl"
    path.write_text(text, encoding="latin-1")
    code, out, err = await evaluate("--judge", "Judge", "--questions", str(path), "--yes")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert message in err


async def test_evaluation_needs_a_confirmation(evaluate: Evaluate, ratings: list[Answer], database: Database) -> None:
    code, out, err = await evaluate("--judge", "Judge", "--json")
    assert (code, out, "Add --yes." in err, "Sends questions and answers to Judge." in err) == (2, "", True, True)
    assert await read_all(database, EvaluationRun) == []


async def test_verdicts_leave(evaluate: Evaluate, ratings: list[Answer], user: User, database: Database) -> None:
    await evaluate("--judge", "Judge", "--yes")
    verdicts = await read_all(database, EvaluationVerdict)
    assert {(row.question, row.reason) for row in verdicts} == {("", "")}
    await delete_row(database, user)
    assert await read_all(database, EvaluationVerdict) == []


@pytest.mark.usefixtures("ratings")
@pytest.mark.parametrize(
    ("model", "code", "message"),
    [(Answer, 0, "0 of 3 questions judged"), (EvaluationRun, 1, "was deleted. Run the command again")],
)
async def test_rows_are_deleted_during_a_run(
    evaluate: Evaluate, database: Database, monkeypatch: pytest.MonkeyPatch, model: Any, code: int, message: str
) -> None:
    async def delete_and_grade(*_arguments: Any) -> Verdict:
        for row in await read_all(database, model):
            await delete_row(database, row)
        return Verdict(outcome=Outcome.GRADED, score=5)

    monkeypatch.setattr("opportune.contrib.evaluation.run.grade", delete_and_grade)
    outcome = await evaluate("--judge", "Judge", "--yes")
    assert (outcome[0], message in "".join(outcome[1:])) == (code, True)


@pytest.mark.usefixtures("ratings")
async def test_admin_shows_runs(evaluate: Evaluate, questions: str, superuser_client: AsyncClient) -> None:
    assert "No evaluations yet" in (await superuser_client.get("/admin/evaluations")).text
    await evaluate("--judge", "Judge", "--yes")
    await evaluate("--judge", "Judge", "--questions", questions, "--model", "Parrot", "--model", "Owl", "--yes")
    page = (await superuser_client.get("/admin/evaluations")).text
    assert "Mean scores" in page
    assert "Agreement with ratings of users: 2 of 3" in page
    assert "Parrot / Owl" in page
    verdicts = (await superuser_client.get("/admin/evaluation-verdict/list?run_id=2&outcome=second")).text
    assert "Who?" in verdicts


async def test_only_superusers_see_evaluations(staff_client: AsyncClient) -> None:
    for page in ("evaluations", "evaluation-run/list", "evaluation-verdict/list"):
        assert (await staff_client.get(f"/admin/{page}")).status_code == 403
