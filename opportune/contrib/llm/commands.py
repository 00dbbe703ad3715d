"""List, ask, evaluate or switch off the language models."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin.models import AuditEntry
from opportune.cli.options import AsJson, NoInput
from opportune.cli.output import is_quiet, print_json, print_table, progress, say
from opportune.cli.transaction import with_jobs
from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.config.settings import get_settings
from opportune.contrib.answers.spending import switch
from opportune.contrib.evaluation.commands import JudgeOptions, evaluate_with_judge
from opportune.contrib.llm import Done, LanguageModel, LlmError, LlmModel, Message, open_llm
from opportune.contrib.llm.call_guard import SITE
from opportune.contrib.llm.completion.request import messages_of
from opportune.contrib.llm.completion.usage import TokenUsage
from opportune.contrib.llm.evaluation import EXAMPLES, Question, read_questions
from opportune.contrib.llm.language_model import NOT_CONFIGURED
from opportune.contrib.llm.providers.factory import models_of
from opportune.errors import OperatorError
from opportune.project.installed import installed_features
from opportune.project.layout import PROJECT
from opportune.project.optional_features import require_feature
from opportune.schemas.text import make_storable, shorten

command = typer.Typer()

Models = Annotated[list[str] | None, typer.Option("--model", help="Name of a model in LLM_MODELS. Can be repeated.")]
AllModels = Annotated[bool, typer.Option("--all", help="Use all models of LLM_MODELS.")]
EVALS = PROJECT / "evals"
MAX_COLUMN_CHARS = 60
MESSAGES = {"off": "Switched answers of language models off.", "on": "Switched answers of language models on."}
CONTROL_CHARACTERS = dict.fromkeys({*range(32), *range(127, 160)} - {*map(ord, "\n\t")}, "?")
"""Characters that would be commands of the terminal, in the answer of a model."""
T = TypeVar("T")


@dataclass
class Trial:
    """An answer of a model, with its time and cost. The fields are the keys of the JSON output."""

    model: str
    text: str = ""
    first_seconds: float | None = None
    """Seconds until the first chunk."""
    seconds: float = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: Decimal = Decimal(0)
    error: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        duration = self.seconds - (self.first_seconds or 0)
        return self.answer_tokens / duration if self.answer_tokens and duration > 0 else None

    def __str__(self) -> str:
        if self.error and not self.text:
            return f"{self.model}: {self.error}"
        speed = f", {self.tokens_per_second:.0f} tokens per second" if self.tokens_per_second else ""
        error = f". {self.error}" if self.error else ""
        return (
            f"{self.model}: first chunk after {self.first_seconds or 0:.2f} s, complete after {self.seconds:.2f} s"
            f"{speed}, {self.prompt_tokens} + {self.answer_tokens} tokens{_cost_note(self.cost)}{error}"
        )

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.model,
            "" if self.first_seconds is None else f"{self.first_seconds:.2f}",
            f"{self.seconds:.2f}",
            f"{self.tokens_per_second:.0f}" if self.tokens_per_second else "",
            f"{self.prompt_tokens} + {self.answer_tokens}",
            f"{self.cost:f}" if self.cost else "",
            _cell(self.error or self.text),
        )


class Result(NamedTuple):
    """An answer to a question with expectations."""

    question: Question
    trial: Trial
    faults: list[str]


@command.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models, the default first."""

    async def print_models(llm: LanguageModel) -> None:
        if as_json:
            without_settings = [{"name": llm.name}] if llm.provider else []
            print_json([*map(_without_secrets, llm.models)] or without_settings)
        elif llm.models:
            headings = ("NAME", "MODEL", "AT", "CONTEXT", "PROMPT", "ANSWER", "CAN", "FALLBACK")
            print_table(headings, map(_table_cells, llm.models), right=("CONTEXT", "PROMPT", "ANSWER"))
        else:
            print(llm.name or NOT_CONFIGURED)

    _with_llm(print_models)


def _without_secrets(model: LlmModel) -> dict[str, object]:
    parts = urlsplit(model.base_url)
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return model.model_dump(exclude={"api_key", "headers"}) | {"base_url": url}


def _table_cells(model: LlmModel) -> tuple[object, ...]:
    capabilities = (("images", model.sees_images), ("tools", model.calls_tools))
    return (
        model.name,
        model.model,
        urlsplit(model.base_url).hostname or model.provider,
        f"{model.context_tokens:,}",
        model.price_per_million_prompt_tokens or "",
        model.price_per_million_answer_tokens or "",
        ", ".join(name for name, is_supported in capabilities if is_supported),
        model.fallback,
    )


@command.command()
def ask(
    question: Annotated[str, typer.Argument(help="Question, or - to read it from standard input.", show_default=False)],
    models: Models = None,
    use_all: AllModels = False,
    system: Annotated[str, typer.Option(help="System prompt.")] = "",
    as_json: AsJson = False,
) -> None:
    """Ask a question, and print the answer with its time and cost."""
    text = make_storable(sys.stdin.buffer.read().decode(errors="replace") if question == "-" else question)
    if not text.strip():
        raise OperatorError("The question is empty. Enter a question.")

    async def ask_models(llm: LanguageModel) -> bool:
        """Return True if a model has failed."""
        selected = _selected_models(llm, models, use_all=use_all)
        is_single = not as_json and len(selected) == 1
        trials = [await _ask_model(model, messages_of(text, system), show=is_single) for model in selected]
        if as_json:
            print_json([vars(trial) for trial in trials])
        elif is_single:
            if trials[0].text:
                print(flush=True)  # before the line on standard error
            if trials[0].error or not is_quiet():
                print(trials[0], file=sys.stderr)
        else:
            headings = ("MODEL", "FIRST S", "ALL S", "TOKENS/S", "TOKENS", "COST", "ANSWER")
            print_table(headings, [trial.cells for trial in trials], right=headings[1:-1])
        return any(trial.error for trial in trials)

    if _with_llm(ask_models):
        raise typer.Exit(1)


@command.command()
def evaluate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="TOML files. [default: evals/*.toml]", show_default=False)
    ] = None,
    models: Models = None,
    use_all: AllModels = False,
    judge: Annotated[
        str, typer.Option(help="Model that grades rated answers or those of a model, or compares two models.")
    ] = "",
    question_file: Annotated[
        Path | None,
        typer.Option("--questions", help="JSONL file of questions for the judge, instead of rated answers."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of rated answers. [default: 50]")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only answers since this day.", metavar="YYYY-MM-DD")
    ] = None,
    no_input: NoInput = False,
    as_json: AsJson = False,
) -> None:
    """Check answers to questions, or let a model judge them.

    The exit code is 1 if an answer is not as expected, or if the judge could not finish.
    """
    if judge:
        if files:
            raise OperatorError("Files with expectations need no judge. Use --questions FILE.jsonl.")
        names = [model.name for model in models_of(get_settings())] if use_all else models or []
        options = JudgeOptions(judge, names, question_file, limit, since, as_json, no_input)
        raise typer.Exit(evaluate_with_judge(options))
    if question_file or limit or since:
        raise OperatorError("--questions, --limit and --since need a judge: --judge NAME.")
    paths = files or sorted(EVALS.glob("*.toml")) or [EXAMPLES]
    questions = [question for path in paths for question in read_questions(path)]

    async def evaluate_models(llm: LanguageModel) -> list[Result]:
        selected = _selected_models(llm, models, use_all=use_all)
        results: list[Result] = []
        with progress("Asking", len(selected) * len(questions), "questions") as bar:
            for model in selected:
                for question in questions:
                    trial = await _ask_model(model, messages_of(question.ask, question.system))
                    faults = [trial.error] if trial.error else [*question.faults(trial.text)]
                    results.append(Result(question, trial, faults))
                    bar.advance()
        return results

    results = _with_llm(evaluate_models)
    if as_json:
        print_json([{"ask": item.question.ask, "faults": item.faults, **vars(item.trial)} for item in results])
    else:
        _print_results(results)
    if any(item.faults for item in results):
        raise typer.Exit(1)


@command.command()
def off() -> None:
    """Stop all answers, and refuse new ones until `llm on`."""
    _switch_answers("off")


@command.command()
def on() -> None:
    """Allow answers again after `llm off`."""
    _switch_answers("on")


def _switch_answers(state: Literal["on", "off"]) -> None:
    """Switch answers on or off for all processes, and record it in the admin's audit log if there is one."""
    features = installed_features()
    require_feature("answers", features)

    async def work(_jobs: object, session: AsyncSession) -> bool:
        changed = await (switch.switch_off(session, "oppman.py") if state == "off" else switch.switch_on(session))
        if changed and any(feature.name == "admin" for feature in features):
            action = f"switch-llm-{state}"
            session.add(AuditEntry(actor="oppman.py", action=action, identity="operations", title=MESSAGES[state]))
        return changed

    say(MESSAGES[state] if with_jobs(work) else f"Answers of language models are already {state}.")


def _print_results(results: Sequence[Result]) -> None:
    rows = (
        (trial.model, _cell(question.ask), "; ".join(faults) or "ok", f"{trial.seconds:.1f}", _cell(trial.text))
        for question, trial, faults in results
    )
    print_table(("MODEL", "QUESTION", "RESULT", "SECONDS", "ANSWER"), rows, right=("SECONDS",))
    for name in dict.fromkeys(item.trial.model for item in results):
        of_model = [item for item in results if item.trial.model == name]
        passed = sum(not item.faults for item in of_model)
        seconds = sum(item.trial.seconds for item in of_model)
        cost = sum((item.trial.cost for item in of_model), Decimal(0))
        say(f"{name}: {passed} of {len(of_model)} as expected, {seconds:.1f} s{_cost_note(cost)}")


def _cost_note(cost: Decimal) -> str:
    return f", {cost:f}" if cost else ""


def _cell(text: str) -> str:
    return shorten(" ".join(text.split()), MAX_COLUMN_CHARS)


def _selected_models(llm: LanguageModel, names: Sequence[str] | None, *, use_all: bool) -> list[LanguageModel]:
    if not (llm.models or llm.name):
        raise OperatorError(NOT_CONFIGURED)
    names = [model.name for model in llm.models] if use_all else names
    return [llm.using(name) for name in names] if names else [llm]


async def _ask_model(llm: LanguageModel, messages: Sequence[Message], *, show: bool = False) -> Trial:
    trial = Trial(llm.name)
    start = time.perf_counter()
    usage = TokenUsage()
    try:
        async with aclosing(llm.charged_to(SITE, usage).chunks(messages)) as chunks:
            async for chunk in chunks:
                trial.seconds = time.perf_counter() - start
                if isinstance(chunk, Done):
                    trial.model = chunk.model
                elif isinstance(chunk, str):
                    trial.first_seconds = trial.first_seconds or trial.seconds
                    trial.text += chunk
                    if show:
                        print(chunk.translate(CONTROL_CHARACTERS), end="", flush=True)
    except LlmError as error:
        trial.error = error.with_advice
    trial.prompt_tokens = usage.prompt_tokens
    trial.answer_tokens = usage.completion_tokens
    trial.cost = Decimal(usage.cost_micro) / MICRO_PER_UNIT
    return trial


def _with_llm(work: Callable[[LanguageModel], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_llm(get_settings()) as llm:
            return await work(llm)

    return asyncio.run(run())
