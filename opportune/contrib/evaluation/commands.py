"""`llm evaluate --judge`: prepare a run, show its cost, and print its numbers."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from opportune.cli.options import confirm
from opportune.cli.output import print_json, say, warn
from opportune.cli.transaction import migrated_settings
from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.config.settings import Settings
from opportune.contrib.evaluation.models import MAX_SCORE, EvaluationRun, Outcome
from opportune.contrib.evaluation.questions import find_rated_ids, load_rated, read_question_file
from opportune.contrib.evaluation.run import Evaluation, candidate_name, find_unfinished, judged_positions
from opportune.contrib.evaluation.summary import Summary, summarize
from opportune.contrib.llm import LanguageModel, LlmError, open_llm
from opportune.db import Database, open_database
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.installed import installed_features
from opportune.project.optional_features import require_feature
from opportune.web.time_zone import site_zone

MAX_ANSWERS = 50
MAX_CANDIDATES = 2


@dataclass(frozen=True)
class JudgeOptions:
    judge: str
    models: Sequence[str]
    file: Path | None
    limit: int | None
    since: datetime | None
    as_json: bool
    yes: bool


def evaluate_with_judge(options: JudgeOptions) -> int:
    """Judge answers, and return the exit code."""
    require_feature("evaluation", installed_features())
    settings = migrated_settings()

    async def run() -> int:
        async with open_database(settings) as database, open_llm(settings) as llm:
            return await _evaluate(settings, database, llm, options)

    return asyncio.run(run())


async def _evaluate(settings: Settings, database: Database, llm: LanguageModel, options: JudgeOptions) -> int:
    evaluation = await _prepare(settings, database, llm, options)
    with redirect_stdout(sys.stderr if options.as_json else sys.stdout):
        if not (options.as_json and options.yes):
            _announce(evaluation)
        if not options.yes and evaluation.questions:
            confirm("The evaluation", "Continue?")
    failure = ""
    try:
        await evaluation.evaluate_all(database)
    except LlmError as error:
        failure = error.with_advice
    async with database.reader(fresh=True) as session:
        (summary,) = await summarize(session, [await session.get_one(EvaluationRun, evaluation.run.id)])
    if options.as_json:
        print_json(_as_json(summary))
    else:
        say(_describe(summary))
    if failure:
        warn(f"{failure} The verdicts are stored. Run the command again to continue.")
    return int(bool(failure))


async def _prepare(settings: Settings, database: Database, llm: LanguageModel, options: JudgeOptions) -> Evaluation:
    judge = llm.using(options.judge)
    candidates = _select_candidates(llm, options)
    names = [candidate_name(candidate) for candidate in candidates]
    if judge.name in names:
        warn(f"{judge.name} judges its own answers, which it may prefer. Use another model as judge.")
    limit = options.limit or MAX_ANSWERS
    since = options.since.replace(tzinfo=site_zone(settings)) if options.since else None
    if options.file:
        source, questions = read_question_file(options.file)
    else:
        period = f" since {since:%Y-%m-%d}" if since else ""
        source, questions = f"rated answers{period}, at most {limit}", []
    second = names[1] if len(names) > 1 else ""
    run = EvaluationRun(judge=judge.name, first=names[0], second=second, source=source, questions=0)
    async with database.reader(fresh=True) as session:
        run = await find_unfinished(session, run) or run
        if not options.file:
            # A continued run keeps its answers, also if others were rated in the meantime.
            run.answer_ids = run.answer_ids or await find_rated_ids(session, since, limit)
            questions = await load_rated(session, run.answer_ids)
        judged = await judged_positions(session, run) if run.id else set()
    if not questions:
        raise OperatorError("There are no answers with a rating. Rate some in the chat, or use --questions FILE.jsonl.")
    run.questions = len(questions)
    return Evaluation(run, judge, candidates, [row for row in questions if row.position not in judged])


def _select_candidates(llm: LanguageModel, options: JudgeOptions) -> list[LanguageModel | None]:
    """Return the models to judge. A single model is compared with the rated answers, if there is no file."""
    models = [llm.using(name) for name in options.models]
    if len({model.name for model in models}) < len(models) or len(models) > MAX_CANDIDATES:
        raise OperatorError("A judge compares two different models. Repeat --model at most once.")
    if options.file:
        return [*models] or [llm]
    return [*models] if len(models) == MAX_CANDIDATES else [None, *models]


def _announce(evaluation: Evaluation) -> None:
    total = evaluation.run.questions
    remaining = len(evaluation.questions)
    if remaining < total:
        say(f"Continuing evaluation {evaluation.run.id}: {total - remaining} of {pluralize(total, 'question')} judged.")
    answers, verdicts = evaluation.calls
    cost = evaluation.estimate_cost_micro()
    cost_note = f"about {_money(cost)}" if cost else "of unknown cost, because LLM_MODELS has no prices"
    models = dict.fromkeys(model.name for model in (*evaluation.candidates, evaluation.judge) if model)
    calls = f"{pluralize(answers, 'answer')} and {pluralize(verdicts, 'verdict')}"
    say(f"{pluralize(remaining, 'question')}: {calls}, {cost_note}.")
    say(f"Sends questions and answers to {' and '.join(models)}.")


def _money(micro: int) -> str:
    return f"{Decimal(micro) / MICRO_PER_UNIT:f}"


def _describe(summary: Summary) -> str:
    run, count = summary.run, summary.outcomes
    questions = pluralize(run.questions, "question")
    judged = f"{summary.judged} of {questions} judged by {run.judge}, cost {_money(run.cost_micro)}"
    if run.second:
        wins = f"{run.first} {count[Outcome.FIRST]}, {run.second} {count[Outcome.SECOND]}, tie {count[Outcome.TIE]}"
        return f"{wins}, undecided {count[Outcome.UNDECIDED]}. {judged}."
    mean = f"{summary.mean_score:.2f}" if summary.mean_score else "none"
    agreement = f"Agrees with {summary.agreeing} of {summary.rated} ratings. " if summary.rated else ""
    return f"{run.first}: mean score {mean}, undecided {count[Outcome.UNDECIDED]}. {agreement}{judged}."


def _as_json(summary: Summary) -> dict[str, object]:
    return {
        **summary.run.model_dump(include={"id", "judge", "first", "second", "source", "questions"}),
        "judged": summary.judged,
        "is_finished": summary.run.finished_at is not None,
        "outcomes": {outcome.value: summary.outcomes[outcome] for outcome in Outcome},
        "scores": {str(score): summary.scores[score] for score in range(1, MAX_SCORE + 1)},
        "mean_score": summary.mean_score,
        "ratings": summary.rated,
        "agreeing_ratings": summary.agreeing,
        "cost": _money(summary.run.cost_micro),
    }
