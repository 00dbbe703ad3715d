"""Runs of evaluations, with the verdicts of a judge. They continue after an interruption."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.models import Answer
from opportune.contrib.evaluation.judge import RUBRIC, Verdict, compare, gather_all, grade
from opportune.contrib.evaluation.models import STORED, EvaluationRun, EvaluationVerdict, Outcome
from opportune.contrib.evaluation.questions import EvaluatedQuestion
from opportune.contrib.llm import Done, ErrorCode, LanguageModel, LlmError, estimate_tokens
from opportune.contrib.llm.call_guard import SITE
from opportune.contrib.llm.completion.request import messages_of
from opportune.contrib.llm.completion.usage import TokenUsage
from opportune.db import Database, utc_now
from opportune.errors import OperatorError
from opportune.progress import work
from opportune.schemas.text import make_storable

# Typical lengths, to estimate the cost of a run.
ANSWER_TOKENS = 500
VERDICT_TOKENS = 100
QUESTION_CODES: frozenset[ErrorCode] = frozenset(
    {"malformed", "empty", "out_of_tokens", "context_too_long", "filtered", "rejected"}
)
"""Errors of one question. With others, the following questions would also fail."""


@dataclass(frozen=True)
class Evaluation:
    """A run with its models and its questions."""

    run: EvaluationRun
    judge: LanguageModel
    candidates: Sequence[LanguageModel | None]
    """Models that answer; None for the stored answers."""
    questions: Sequence[EvaluatedQuestion]
    """Questions without a verdict."""

    @property
    def calls(self) -> tuple[int, int]:
        """Number of answers and of verdicts to request."""
        models = [candidate for candidate in self.candidates if candidate is not None]
        return len(models) * len(self.questions), len(self.candidates) * len(self.questions)

    def estimate_cost_micro(self) -> int:
        """Return the estimated cost; 0 for models without prices."""
        cost = 0
        count = len(self.candidates)
        for question in self.questions:
            prompt = estimate_tokens(question.text)
            judge_prompt = prompt + estimate_tokens(RUBRIC + question.expected) + count * ANSWER_TOKENS
            cost += sum(_cost(model, prompt, ANSWER_TOKENS) for model in self.candidates)
            cost += count * _cost(self.judge, judge_prompt, VERDICT_TOKENS)
        return cost

    async def evaluate_all(self, database: Database) -> None:
        """Store a verdict for each question.

        Raises:
            LlmError: A model is not available, or a limit is reached. Earlier verdicts are stored.
        """
        async with database.writer() as session:
            session.add(self.run)
        with work("Judging", len(self.questions), "questions") as progress:
            for question in self.questions:
                usage = TokenUsage()
                try:
                    verdict = await self._evaluate(question, usage)
                except LlmError:
                    await self._save(database, usage)
                    raise
                await self._save(database, usage, self._row(question, verdict))
                progress.advance()
        await self._save(database, TokenUsage(), done=True)

    async def _evaluate(self, question: EvaluatedQuestion, usage: TokenUsage) -> Verdict:
        """Return the verdict, which is `undecided` on a question that a model cannot answer or judge."""
        judging = self.judge.charged_to(SITE, usage)
        try:
            answers = await gather_all(*(_answer(candidate, question, usage) for candidate in self.candidates))
            if len(answers) == 1:
                return await grade(judging, question.text, question.expected, answers[0])
            return await compare(judging, question.text, question.expected, *answers)
        except LlmError as error:
            if error.code not in QUESTION_CODES:
                raise
            return Verdict(outcome=Outcome.UNDECIDED, reason=str(error))

    def _row(self, question: EvaluatedQuestion, verdict: Verdict) -> EvaluationVerdict:
        row = EvaluationVerdict(
            run_id=self.run.id,
            position=question.position,
            outcome=verdict.outcome,
            score=verdict.score,
            rating=question.rating,
        )
        if question.answer:
            row.answer_id = question.answer.id
        else:
            row.question = question.text
            row.reason = make_storable(verdict.reason)  # an error quotes the answer
        return row

    async def _save(self, database: Database, usage: TokenUsage, *rows: EvaluationVerdict, done: bool = False) -> None:
        try:
            async with database.writer() as session:
                run = await session.get_one(EvaluationRun, self.run.id, with_for_update=True)
                run.cost_micro += usage.cost_micro
                run.finished_at = utc_now() if done else None
                for row in rows:
                    # The rated answer may have been deleted since it was read.
                    if row.answer_id is None or await session.get(Answer, row.answer_id) is not None:
                        session.add(row)
        except NoResultFound:
            raise OperatorError(f"Evaluation {self.run.id} was deleted. Run the command again for a new one.") from None
        except IntegrityError:
            raise OperatorError(f"Another command continues evaluation {self.run.id}. Wait for its end.") from None


async def find_unfinished(session: AsyncSession, run: EvaluationRun) -> EvaluationRun | None:
    """Return the unfinished run with the same models and questions."""
    query = select(EvaluationRun).filter_by(
        judge=run.judge, first=run.first, second=run.second, source=run.source, finished_at=None
    )
    return await session.scalar(query.order_by(col(EvaluationRun.id).desc()).limit(1))


async def judged_positions(session: AsyncSession, run: EvaluationRun) -> set[int]:
    """Return the positions of the questions that have a verdict."""
    query = select(col(EvaluationVerdict.position)).where(col(EvaluationVerdict.run_id) == run.id)
    return {*(await session.scalars(query))}


async def _answer(model: LanguageModel | None, question: EvaluatedQuestion, usage: TokenUsage) -> str:
    if model is None:
        assert question.answer
        return question.answer.text
    text = ""
    async with aclosing(model.charged_to(SITE, usage).chunks(messages_of(question.text))) as chunks:
        async for chunk in chunks:
            if isinstance(chunk, Done) and chunk.model != model.name:
                raise LlmError("unavailable", f"{model.name} is not available: its fallback {chunk.model} answered.")
            if isinstance(chunk, str):
                text += chunk
    return text


def _cost(model: LanguageModel | None, prompt_tokens: int, answer_tokens: int) -> int:
    return model.model.cost_micro(prompt_tokens, answer_tokens) if model and model.model else 0


def candidate_name(model: LanguageModel | None) -> str:
    return model.name if model else STORED
