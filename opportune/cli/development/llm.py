"""List, ask or evaluate the language models; off and on."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin.models import AuditEntry
from opportune.cli.options import AsJson
from opportune.cli.output import is_quiet, print_json, print_table, progress, say
from opportune.cli.transaction import with_jobs
from opportune.config.project import PROJECT, installed_features
from opportune.config.settings import get_settings
from opportune.errors import OperatorError
from opportune.llm import Done, LanguageModel, LLMError, LlmModel, Message, Reasoning, open_llm
from opportune.llm.evaluation.questions import EXAMPLES, Question, read_questions
from opportune.llm.language_model import NOT_CONFIGURED, messages_of
from opportune.llm.providers.provider import estimate_tokens
from opportune.llm.spending import switch

command = typer.Typer()

Names = Annotated[list[str] | None, typer.Option("--model", help="Which of LLM_MODELS; again for another.")]
All = Annotated[bool, typer.Option("--all", help="All of LLM_MODELS, one after the other.")]
EVALS = PROJECT / "evals"
SHOWN_CHARS = 60
SAID = {"off": "Answers of language models are switched off.", "on": "Answers of language models are on again."}
T = TypeVar("T")


@dataclass
class Trial:
    """One answer, with the time that it took."""

    model: str
    text: str = ""
    first_seconds: float | None = None
    """Until its first piece came."""
    seconds: float = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: Decimal = Decimal(0)
    error: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        writing = self.seconds - (self.first_seconds or 0)
        return self.answer_tokens / writing if self.answer_tokens and writing > 0 else None

    def __str__(self) -> str:
        if self.error and not self.text:
            return f"{self.model}: {self.error}"
        pace = f", {self.tokens_per_second:.0f} tokens a second" if self.tokens_per_second else ""
        return (
            f"{self.model}: first words after {self.first_seconds or 0:.2f} s, all after {self.seconds:.2f} s{pace}, "
            f"{self.prompt_tokens} + {self.answer_tokens} tokens{_cost(self.cost)}{self.error and f'. {self.error}'}"
        )


@command.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models, the one first that is asked by default."""

    async def read(llm: LanguageModel) -> None:
        if not llm.models:
            if as_json:
                print_json([{"name": llm.name}] if llm.provider else [])
            else:
                print(llm.name or NOT_CONFIGURED)
        elif as_json:
            print_json([_without_secrets(model) for model in llm.models])
        else:
            headings = ("NAME", "MODEL", "AT", "CONTEXT", "PROMPT", "ANSWER", "CAN", "FALLBACK")
            print_table(headings, map(_row, llm.models), right=("CONTEXT", "PROMPT", "ANSWER"))

    _with_llm(read)


def _without_secrets(model: LlmModel) -> dict[str, object]:
    parts = urlsplit(model.base_url)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return model.model_dump(exclude={"api_key", "headers"}) | {"base_url": address}


def _row(model: LlmModel) -> tuple[object, ...]:
    can = (("images", model.sees_images), ("tools", model.calls_tools))
    return (
        model.name,
        model.model,
        urlsplit(model.base_url).hostname or model.provider,
        f"{model.context_tokens:,}",
        model.price_per_million_prompt_tokens or "",
        model.price_per_million_answer_tokens or "",
        ", ".join(word for word, is_able in can if is_able),
        model.fallback,
    )


@command.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask; - reads it from standard input.", show_default=False)],
    models: Names = None,
    every: All = False,
    system: Annotated[str, typer.Option(help="What the model is told beforehand.")] = "",
    as_json: AsJson = False,
) -> None:
    """Ask a question, and tell how long the answer took."""
    text = sys.stdin.read() if question == "-" else question
    if not text.strip():
        raise OperatorError("There is no question.")

    async def run(llm: LanguageModel) -> int:
        chosen = _chosen(llm, models, every)
        is_shown = not as_json and len(chosen) == 1
        trials = [await _try(each, messages_of(text, system), show=is_shown) for each in chosen]
        if as_json:
            print_json([vars(trial) for trial in trials])
        elif is_shown:
            if trials[0].text:
                print()
            if trials[0].error or not is_quiet():
                print(trials[0], file=sys.stderr)
        else:
            _print_trials(trials)
        return int(any(trial.error for trial in trials))

    if code := _with_llm(run):
        raise typer.Exit(code)


@command.command()
def evaluate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="TOML files; else evals/*.toml.", show_default=False)
    ] = None,
    models: Names = None,
    every: All = False,
    as_json: AsJson = False,
) -> None:
    """See whether the answers to a set of questions are as expected. If one is not, exit with 1."""
    questions = [each for file in files or sorted(EVALS.glob("*.toml")) or [EXAMPLES] for each in read_questions(file)]

    async def run(llm: LanguageModel) -> list[tuple[Question, Trial, list[str]]]:
        chosen = _chosen(llm, models, every)
        found = []
        with progress("Asking", len(chosen) * len(questions), "questions") as bar:
            for each in chosen:
                for question in questions:
                    trial = await _try(each, messages_of(question.ask, question.system))
                    found.append((question, trial, [trial.error] if trial.error else [*question.faults(trial.text)]))
                    bar.advance()
        return found

    results = _with_llm(run)
    if as_json:
        print_json([{"ask": asked.ask, "faults": faults, **vars(trial)} for asked, trial, faults in results])
    else:
        _print_results(results)
    if any(faults for _, _, faults in results):
        raise typer.Exit(1)


@command.command()
def off() -> None:
    """Stop all answers, and have no model asked until `llm on`."""
    _switch("off")


@command.command()
def on() -> None:
    """Have models asked again after `llm off`."""
    _switch("on")


def _switch(to: Literal["on", "off"]) -> None:
    """For all processes of the site, with an entry in the admin's log where there is one."""
    names = {feature.name for feature in installed_features()}
    if "answers" not in names:
        raise OperatorError("There is no such switch: put `answers` of opportune.features into app/installed.py.")

    async def work(_jobs: object, session: AsyncSession) -> bool:
        done = await (switch.switch_off(session, "oppman.py") if to == "off" else switch.switch_on(session))
        if done and "admin" in names:
            session.add(AuditEntry(actor="oppman.py", action=f"switch-llm-{to}", identity="operations", title=SAID[to]))
        return done

    say(SAID[to] if with_jobs(work) else f"They were {to} already.")


def _print_results(results: Sequence[tuple[Question, Trial, list[str]]]) -> None:
    rows = (
        (trial.model, _short(asked.ask), "; ".join(faults) or "ok", f"{trial.seconds:.1f}", _short(trial.text))
        for asked, trial, faults in results
    )
    print_table(("MODEL", "QUESTION", "RESULT", "SECONDS", "ANSWER"), rows, right=("SECONDS",))
    for name in dict.fromkeys(trial.model for _, trial, _ in results):
        own = [(trial, faults) for _, trial, faults in results if trial.model == name]
        good, seconds = sum(not faults for _, faults in own), sum(trial.seconds for trial, _ in own)
        cost = sum((trial.cost for trial, _ in own), Decimal(0))
        say(f"{name}: {good} of {len(own)} as expected, {seconds:.1f} s{_cost(cost)}")


def _cost(cost: Decimal) -> str:
    return f", {cost:f}" if cost else ""


def _print_trials(trials: Sequence[Trial]) -> None:
    rows = (
        (
            trial.model,
            *(f"{value:.2f}" if value is not None else "" for value in (trial.first_seconds, trial.seconds)),
            f"{trial.tokens_per_second:.0f}" if trial.tokens_per_second else "",
            f"{trial.prompt_tokens} + {trial.answer_tokens}",
            f"{trial.cost:f}" if trial.cost else "",
            _short(trial.error or trial.text),
        )
        for trial in trials
    )
    headings = ("MODEL", "FIRST S", "ALL S", "TOKENS/S", "TOKENS", "COST", "ANSWER")
    print_table(headings, rows, right=headings[1:-1])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else line[: SHOWN_CHARS - 1] + "…"


def _chosen(llm: LanguageModel, names: Sequence[str] | None, every: bool) -> list[LanguageModel]:
    if not (llm.models or llm.name):
        raise OperatorError(NOT_CONFIGURED)
    names = [model.name for model in llm.models] if every else names
    return [llm.using(name) for name in names] if names else [llm]


async def _try(llm: LanguageModel, messages: Sequence[Message], *, show: bool = False) -> Trial:
    trial, start, reasoning = Trial(llm.name), time.perf_counter(), ""
    try:
        async with aclosing(llm.chunks(messages)) as chunks:
            async for chunk in chunks:
                trial.seconds = time.perf_counter() - start
                if isinstance(chunk, Done):
                    trial.model = chunk.model
                    trial.prompt_tokens, trial.answer_tokens = chunk.prompt_tokens or 0, chunk.completion_tokens or 0
                    continue
                if isinstance(chunk, Reasoning):
                    reasoning += chunk.text
                    continue
                trial.first_seconds = trial.first_seconds or trial.seconds
                trial.text += chunk
                if show:
                    print(chunk, end="", flush=True)
    except LLMError as error:
        trial.error = error.with_advice
    trial.prompt_tokens = trial.prompt_tokens or sum(estimate_tokens(each.content) for each in messages)
    trial.answer_tokens = trial.answer_tokens or estimate_tokens(reasoning + trial.text)
    model = llm.using(trial.model).model if llm.models else None
    trial.cost = model.cost(trial.prompt_tokens, trial.answer_tokens) if model else Decimal(0)
    return trial


def _with_llm(work: Callable[[LanguageModel], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_llm(get_settings()) as llm:
            return await work(llm)

    return asyncio.run(run())
