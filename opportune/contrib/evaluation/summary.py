"""Numbers of an evaluation, for the command and the admin."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.models import Rating
from opportune.contrib.evaluation.models import EvaluationRun, EvaluationVerdict, Outcome

MIN_GOOD_SCORE = 4
"""Lowest score that agrees with the rating `up`."""


@dataclass
class Summary:
    """Numbers of the verdicts of a run. `judged` counts all, `rated` those with a score and a rating."""

    run: EvaluationRun
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    scores: Counter[int] = field(default_factory=Counter)
    rated: int = 0
    agreeing: int = 0
    """Number of answers whose score and rating agree."""

    @property
    def judged(self) -> int:
        return self.outcomes.total()

    @property
    def mean_score(self) -> float | None:
        total = self.scores.total()
        return sum(score * count for score, count in self.scores.items()) / total if total else None

    def add(self, outcome: Outcome, score: int | None, rating: Rating | None) -> None:
        self.outcomes[outcome] += 1
        if score is None:
            return
        self.scores[score] += 1
        if rating is None:
            return
        self.rated += 1
        is_good = score >= MIN_GOOD_SCORE
        is_rated_up = rating == Rating.UP
        if is_good == is_rated_up:
            self.agreeing += 1


async def summarize(session: AsyncSession, runs: Sequence[EvaluationRun]) -> list[Summary]:
    """Return the numbers of runs in their order."""
    summaries = {run.id: Summary(run) for run in runs}
    columns = (EvaluationVerdict.run_id, EvaluationVerdict.outcome, EvaluationVerdict.score, EvaluationVerdict.rating)
    query = select(*map(col, columns)).where(col(EvaluationVerdict.run_id).in_(summaries))
    for row in await session.execute(query):
        summaries[row.run_id].add(row.outcome, row.score, row.rating)
    return [*summaries.values()]
