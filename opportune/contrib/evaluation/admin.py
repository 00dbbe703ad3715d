"""Admin pages of evaluations: their charts, and the list to delete them."""

from collections.abc import Iterator

from sqladmin import expose
from sqlalchemy import select
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin import AdminView
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.templates import render_page
from opportune.contrib.charts import Chart, Point
from opportune.contrib.evaluation.models import MAX_SCORE, STORED, EvaluationRun, EvaluationVerdict, Outcome
from opportune.contrib.evaluation.summary import Summary, summarize
from opportune.i18n import gettext
from opportune.i18n.formats import localize_number

MAX_RUNS = 20


class EvaluationRunAdmin(SuperuserOnly, AdminView, model=EvaluationRun):
    name, plural = "Evaluation", "Evaluations"
    columns = ("id", "created_at", "judge", "first", "second", "source", "questions", "finished_at")
    fields = (*columns, "cost_micro")
    column_labels = {"first": "First candidate", "second": "Second candidate", "cost_micro": "Cost in millionths"}
    order = ("-id",)
    can_create = can_edit = False
    icon, category = "ti ti-scale", "Language models"


class EvaluationVerdictAdmin(SuperuserOnly, AdminView, model=EvaluationVerdict):
    name, plural = "Verdict", "Verdicts"
    columns = ("id", "run_id", "position", "outcome", "score", "rating", "question")
    fields = (*columns, "reason")
    filters = ("run_id", "outcome", "score", "rating")
    order = ("-id",)
    can_create = can_edit = can_delete = False
    icon, category = "ti ti-gavel", "Language models"


class EvaluationCharts(SuperuserOnly):
    name = "Results of evaluations"
    icon, category = "ti ti-chart-bar", "Language models"

    @expose("/evaluations", identity="evaluations")
    async def show(self, request: Request) -> Response:
        query = select(EvaluationRun).order_by(col(EvaluationRun.id).desc()).limit(MAX_RUNS)
        async with request.app.state.database.reader(fresh=True) as session:
            summaries = await summarize(session, [*await session.scalars(query)])
        context = {
            "title": self.name,
            "results": [(summary, Chart("", [*_points(summary)], 0, 0, shape="choices")) for summary in summaries],
            "means": [*_means(summaries)],
            "percent_of_mean": lambda point: round(100 * point.number / MAX_SCORE),
            "label": _label,
        }
        return await render_page(request, self, "admin/evaluations.html", context)


def _label(candidate: str) -> str:
    return gettext("Stored answers") if candidate == STORED else candidate


def _points(summary: Summary) -> Iterator[Point]:
    """Yield the wins of two candidates, or the answers of one by their score."""
    run, count = summary.run, summary.outcomes
    url = f"/admin/evaluation-verdict/list?run_id={run.id}"
    if run.second:
        labels = {Outcome.FIRST: _label(run.first), Outcome.SECOND: _label(run.second), Outcome.TIE: gettext("Tie")}
        yield from (Point(label, count[outcome], f"{url}&outcome={outcome}") for outcome, label in labels.items())
    else:
        for score in range(MAX_SCORE, 0, -1):
            yield Point(gettext("Score %(score)s", score=score), summary.scores[score], f"{url}&score={score}")
    yield Point(gettext("Undecided"), count[Outcome.UNDECIDED], f"{url}&outcome={Outcome.UNDECIDED}")


def _means(summaries: list[Summary]) -> Iterator[Point]:
    for summary in summaries:
        if summary.mean_score:
            label = f"#{summary.run.id} {_label(summary.run.first)}"
            yield Point(label, summary.mean_score, number_text=localize_number(f"{summary.mean_score:.2f}"))
