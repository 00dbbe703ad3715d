"""What language models are used for and cost: by day and model, and by whom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from sqladmin import expose
from sqlalchemy import ColumnElement, and_, case, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.models import User
from opportune.admin.authorization import SuperuserOnly
from opportune.admin.dashboard.charts import Chart
from opportune.admin.forms.admin_form import read_form_texts
from opportune.admin.operations.view import reauthentication_required
from opportune.answers.spending.guard import SpendingGuard
from opportune.answers.spending.ledger import standing
from opportune.answers.spending.limits import money
from opportune.answers.spending.models import OWN, TOTAL, VISITORS, LlmUsage
from opportune.answers.spending.switch import read_switch
from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.llm.guard import SITE
from opportune.web.rendering.flash import flash

PERIODS_DAYS = (30, 7, 90)
MAX_PEOPLE = 50
"""Lines of the table, the sums that are nobody's among them."""
LEFT = "People who have left"
NAMES = {OWN: "The site's jobs and commands", VISITORS: "Visitors"}

TOKENS = col(LlmUsage.prompt_tokens) + col(LlmUsage.completion_tokens)


@dataclass(frozen=True)
class UsageRow:
    """A line of a table."""

    name: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    estimated_tokens: int
    cost_micro: int
    user_id: int | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


SUMS = [
    func.sum(column)
    for column in (
        col(LlmUsage.calls),
        col(LlmUsage.prompt_tokens),
        col(LlmUsage.completion_tokens),
        col(LlmUsage.estimated_tokens),
        col(LlmUsage.cost_micro),
    )
]


class LlmAdmin(SuperuserOnly):
    name = "Language models"
    icon, category = "ti ti-sparkles", "Operations"

    @expose("/llm", identity="llm")
    async def show(self, request: Request) -> Response:
        guard: SpendingGuard = request.app.state.llm.guard
        asked = request.query_params
        days = next((each for each in PERIODS_DAYS if asked.get("days") == str(each)), PERIODS_DAYS[0])
        today, model = guard.now().date(), asked.get("model", "")
        first = today - timedelta(days=days - 1)
        async with request.app.state.database.reader(fresh=True) as session:
            context: dict[str, Any] = {
                "off": await read_switch(session),
                "limits": await _limits(session, guard, today),
                "charts": await _charts(session, first, days, model, guard.own.llm_currency),
                "models": await _models(session, first),
                "people": await _people(session, first, model),
            }
        context |= {
            "model_view": self,
            "title": self.name,
            "periods": sorted(PERIODS_DAYS),
            "days": days,
            "model": model,
            "max_people": MAX_PEOPLE,
            "money": lambda micro: money(int(micro), guard.own.llm_currency),
        }
        return cast("Response", await self.templates.TemplateResponse(request, "admin/llm.html", context))

    @expose("/llm/provider", methods=["GET", "POST"], identity="llm-provider")
    @reauthentication_required
    async def provider(self, request: Request) -> Response:
        from opportune.admin.operations import llm_provider  # noqa: PLC0415 - once in the life of a site

        if request.method == "POST":
            if "remove" in await read_form_texts(request):
                flash(request, await llm_provider.remove(request))
                return RedirectResponse(llm_provider.PAGE, 303)
            form, said = await llm_provider.choose(request)
            if said:
                flash(request, said)
                return RedirectResponse(llm_provider.PAGE, 303)
        context = await llm_provider.page_context(request)
        if request.method == "GET":
            form = llm_provider.form_of(context["chosen"])
        context |= {"model_view": self, "title": "The model that answers", "form": form, "page": llm_provider.PAGE}
        page = self.templates.TemplateResponse(request, "admin/llm_provider.html", context, form.status)
        return cast("Response", await page)


async def _limits(session: AsyncSession, guard: SpendingGuard, today: date) -> list[tuple[str, str, int]]:
    """Those of the site: what each allows, in which period, and how much of it is used, in percent."""
    sums = (await standing(session, SITE, today)).everybody
    return [
        (guard.words.amount(limit), limit.period, 100 * sums.used(limit) // limit.amount)
        for limit in guard.limits
        if limit.scope == "site"
    ]


async def _charts(session: AsyncSession, first: date, days: int, model: str, currency: str) -> list[Chart]:
    """Tokens, cost and answers of each day, of all models or of one; then the tokens of each of several."""
    before = first - timedelta(days=days)
    query = select(col(LlmUsage.day), col(LlmUsage.model), TOKENS, col(LlmUsage.cost_micro), col(LlmUsage.calls))
    query = query.where(col(LlmUsage.payer) == TOTAL, col(LlmUsage.day) >= before, _of(model))
    rows = (await session.execute(query)).all()

    def chart(label: str, column: int, name: str = "", per: int = 1) -> Chart:
        found: dict[date, int] = {}
        for row in rows:
            if name in ("", row[1]):
                found[row[0]] = found.get(row[0], 0) + row[column]
        counted = [(day, _part(found.get(day, 0), per)) for day in (first + timedelta(days=n) for n in range(days))]
        return Chart(label, counted, _part(sum(number for day, number in found.items() if day < first), per))

    charts = [chart("Tokens", 2), chart(f"Cost in {currency}", 3, per=MICRO_PER_UNIT), chart("Answers", 4)]
    names = sorted({row[1] for row in rows})
    return charts + ([chart(f"Tokens of {name}", 2, name) for name in names] if len(names) > 1 else [])


def _part(number: int, per: int) -> Any:
    return number if per == 1 else (Decimal(number) / per).quantize(Decimal("0.01"))


async def _models(session: AsyncSession, first: date) -> Sequence[UsageRow]:
    query = select(col(LlmUsage.model), *SUMS).where(col(LlmUsage.payer) == TOTAL, col(LlmUsage.day) >= first)
    rows = await session.execute(query.group_by(col(LlmUsage.model)).order_by(func.sum(TOKENS).desc()))
    return [UsageRow(name, *map(int, numbers)) for name, *numbers in rows]


async def _people(session: AsyncSession, first: date, model: str) -> Sequence[UsageRow]:
    """The sums that are nobody's, and those who have used most."""
    is_theirs = and_(col(LlmUsage.payer) == "", col(LlmUsage.owner_id).is_not(None))
    whose = case((is_theirs, User.email), (col(LlmUsage.payer) == "", LEFT), else_=col(LlmUsage.payer))
    shown = or_(col(LlmUsage.payer) == "", col(LlmUsage.payer).in_(NAMES))
    query = (
        select(whose, *SUMS, col(LlmUsage.owner_id))
        .join(User, col(User.id) == col(LlmUsage.owner_id), isouter=True)
        .where(shown, col(LlmUsage.day) >= first, _of(model))
        .group_by(whose, col(LlmUsage.owner_id))
        .order_by(col(LlmUsage.owner_id).is_not(None), func.sum(col(LlmUsage.cost_micro)).desc())
        .order_by(func.sum(TOKENS).desc())
        .limit(MAX_PEOPLE)
    )
    rows = await session.execute(query)
    return [
        replace(UsageRow(NAMES.get(name, name), *map(int, numbers)), user_id=owner_id)
        for name, *numbers, owner_id in rows
    ]


def _of(model: str) -> ColumnElement[bool]:
    return col(LlmUsage.model) == model if model else true()
