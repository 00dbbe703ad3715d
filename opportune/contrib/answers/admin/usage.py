"""Usage and cost of language models by day, model and user, for the page /admin/llm."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.ledger import read_totals
from opportune.contrib.answers.spending.limits import money
from opportune.contrib.answers.spending.models import SITE_CALLS, TOTAL, VISITORS, LlmUsage
from opportune.contrib.answers.spending.switch import read_switch
from opportune.contrib.charts import Chart, Point
from opportune.contrib.llm.call_guard import SITE
from opportune.contrib.llm.completion.usage import COUNTERS, TokenUsage
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_month_day

PERIODS_DAYS = (7, 30, 90)
DEFAULT_PERIOD_DAYS = 30
MAX_PAYERS = 50
"""Rows of the table of payers: users, the site and visitors."""
DELETED_USERS = "deleted"
SUM_LABELS = {
    SITE_CALLS: _l("The site's jobs and commands"),
    VISITORS: _l("Visitors"),
    DELETED_USERS: _l("Deleted users"),
}

TOKENS = col(LlmUsage.prompt_tokens) + col(LlmUsage.completion_tokens)
SUMS = [func.sum(getattr(LlmUsage, name)) for name in COUNTERS]
"""Sums in the order of the fields of `TokenUsage`."""


class SiteLimit(NamedTuple):
    """A limit of the site, for the template."""

    amount: str
    period: str
    used_percent: int


@dataclass(kw_only=True)
class UsageRow(TokenUsage):
    """Usage of a model, user or sum."""

    name: str
    user_id: int | None = None


async def usage_context(request: Request) -> dict[str, Any]:
    """Read the variables of the page from the period and the model of the query string."""
    guard: SpendingGuard = request.app.state.llm.guard
    requested_days = request.query_params.get("days", "")
    days = int(requested_days) if requested_days in map(str, PERIODS_DAYS) else DEFAULT_PERIOD_DAYS
    model = request.query_params.get("model", "")
    today = guard.now().date()
    first = today - timedelta(days=days - 1)
    async with request.app.state.database.reader(fresh=True) as session:
        context: dict[str, Any] = {
            "off": await read_switch(session),
            "limits": await _read_site_limits(session, guard, today),
            "charts": await _read_charts(session, first, days, model, guard.answers_settings.llm_currency),
            "models": await sum_by_model(session, first),
            "payers": await _sum_by_payer(session, first, model),
        }
    return context | {
        "periods": PERIODS_DAYS,
        "days": days,
        "model": model,
        "max_payers": MAX_PAYERS,
        "money": lambda micro: money(int(micro), guard.answers_settings.llm_currency),
    }


async def _read_site_limits(session: AsyncSession, guard: SpendingGuard, today: date) -> list[SiteLimit]:
    sums = (await read_totals(session, SITE, today)).site
    return [
        SiteLimit(guard.messages.amount(limit), limit.period, 100 * sums.used(limit) // limit.amount)
        for limit in guard.limits
        if limit.scope == "site"
    ]


async def _read_charts(session: AsyncSession, first: date, days: int, model: str, currency: str) -> list[Chart]:
    """Return charts of tokens, cost and answers by day. For several models, add a chart of tokens per model."""
    previous_first = first - timedelta(days=days)
    numbers = TOKENS.label("tokens"), col(LlmUsage.cost_micro), col(LlmUsage.calls)
    query = select(col(LlmUsage.day), col(LlmUsage.model), *numbers)
    query = query.where(col(LlmUsage.payer) == TOTAL, col(LlmUsage.day) >= previous_first, _is_of_model(model))
    rows: Sequence[Any] = (await session.execute(query)).all()
    cost = gettext("Cost in %(currency)s", currency=currency)
    charts = [
        _chart(gettext("Tokens"), _sum_by_day(rows, "tokens"), first, days),
        _chart(cost, _sum_by_day(rows, "cost_micro"), first, days, _in_units),
        _chart(gettext("Answers"), _sum_by_day(rows, "calls"), first, days),
    ]
    names = sorted({row.model for row in rows})
    if len(names) > 1:
        for name in names:
            sums = _sum_by_day([row for row in rows if row.model == name], "tokens")
            charts.append(_chart(gettext("Tokens of %(model)s", model=name), sums, first, days))
    return charts


def _chart(label: str, sums: Counter[date], first: date, days: int, scale: Callable[[int], Any] = int) -> Chart:
    """Return the chart of sums by day. Those before the first day are of the period before."""
    dates = (first + timedelta(days=n) for n in range(days))
    points = [Point(format_month_day(day), scale(sums[day])) for day in dates]
    previous = sum(number for day, number in sums.items() if day < first)
    return Chart(label, points, scale(previous), days, shape="bar")


def _sum_by_day(rows: Sequence[Any], column: str) -> Counter[date]:
    sums = Counter[date]()
    for row in rows:
        sums[row.day] += getattr(row, column)
    return sums


def _in_units(cost_micro: int) -> Decimal:
    """Convert millionths of the currency, rounded to two digits."""
    return (Decimal(cost_micro) / MICRO_PER_UNIT).quantize(Decimal("0.01"))


async def sum_by_model(session: AsyncSession, first: date) -> Sequence[UsageRow]:
    """Return the usage of all payers since a day. Models with the most tokens come first."""
    query = select(col(LlmUsage.model), *SUMS).where(col(LlmUsage.payer) == TOTAL, col(LlmUsage.day) >= first)
    rows = await session.execute(query.group_by(col(LlmUsage.model)).order_by(func.sum(TOKENS).desc()))
    return [UsageRow(*map(int, numbers), name=name) for name, *numbers in rows]


async def _sum_by_payer(session: AsyncSession, first: date, model: str) -> Sequence[UsageRow]:
    """Return the usage of the site, of all visitors, and of the users with the highest cost."""
    is_user = and_(col(LlmUsage.payer) == "", col(LlmUsage.owner_id).is_not(None))
    payer_name = case((is_user, User.email), (col(LlmUsage.payer) == "", DELETED_USERS), else_=col(LlmUsage.payer))
    is_listed = or_(col(LlmUsage.payer) == "", col(LlmUsage.payer).in_(SUM_LABELS))
    query = (
        select(payer_name, *SUMS, col(LlmUsage.owner_id))
        .join(User, col(User.id) == col(LlmUsage.owner_id), isouter=True)
        .where(is_listed, col(LlmUsage.day) >= first, _is_of_model(model))
        .group_by(payer_name, col(LlmUsage.owner_id))
        .order_by(col(LlmUsage.owner_id).is_not(None), func.sum(col(LlmUsage.cost_micro)).desc())
        .order_by(func.sum(TOKENS).desc())
        .limit(MAX_PAYERS)
    )
    return [
        UsageRow(*map(int, numbers), name=str(SUM_LABELS.get(name, name)), user_id=owner_id)
        for name, *numbers, owner_id in await session.execute(query)
    ]


def _is_of_model(model: str) -> ColumnElement[bool]:
    return col(LlmUsage.model) == model if model else true()
