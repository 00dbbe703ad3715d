"""Answers for operators: metrics, the status page, and checks of the settings."""

from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import urlsplit

from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.checks import Finding
from opportune.config.llm_models import LlmModel
from opportune.config.settings import Settings
from opportune.contrib.answers.admin.usage import UsageRow, sum_by_model
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending import switch
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.limits import Limit, money
from opportune.contrib.llm import models_of
from opportune.db.url.providers import is_local
from opportune.feature import Gauge, HealthLight
from opportune.i18n import gettext as _
from opportune.i18n import ngettext
from opportune.i18n.formats import format_number
from opportune.project.installed import installed_features

STATES = {AnswerStatus.STREAMING: "running", AnswerStatus.WAITING: "waiting"}
"""States of answers in `GET /metrics`."""


async def answer_gauges(session: AsyncSession) -> list[Gauge]:
    status = col(Answer.status)
    rows = await session.execute(select(status, func.count()).where(status.in_(STATES)).group_by(status))
    counts = {AnswerStatus(name): number for name, number in rows}
    samples = [({"state": name}, counts.get(state, 0)) for state, name in STATES.items()]
    return [Gauge("opportune_answers", "Answers that are being written or wait for an approval.", samples)]


async def spending_lights(app: FastAPI) -> Sequence[HealthLight]:
    guard: SpendingGuard = app.state.llm.guard
    async with app.state.database.reader(fresh=True) as session:
        off = await switch.read_switch(session)
        usage = await sum_by_model(session, guard.now().date())
    lights = [HealthLight("Today", _in_words(usage, guard.answers_settings.llm_currency), url="/admin/llm")]
    if off:
        text = _("switched off by %(user)s", user=off.said)
        hint = _("Switch them on under Operations.")
        lights.insert(0, HealthLight("Answers", text, "notice", url="/admin/operations", hint=hint))
    return lights


def _in_words(usage: Sequence[UsageRow], currency: str) -> str:
    calls = sum(row.calls for row in usage)
    tokens = sum(row.tokens for row in usage)
    return _(
        "%(answers)s, %(tokens)s, %(cost)s",
        answers=ngettext("%(number)s answer", "%(number)s answers", calls, number=format_number(calls)),
        tokens=ngettext("%(number)s token", "%(number)s tokens", tokens, number=format_number(tokens)),
        cost=money(sum(row.cost_micro for row in usage), currency),
    )


def check_web_search(settings: Settings) -> Iterator[Finding]:
    """Warn about an insecure or useless WEB_SEARCH_URL. A malformed one stops the site from starting."""
    url = settings.of(AnswersSettings).web_search_url.get_secret_value()
    if not url:
        return
    if url.startswith("http://") and not is_local(urlsplit(url).hostname or ""):
        yield Finding.warning("WEB_SEARCH_URL uses http://, so searches are not encrypted. Use https://.")
    if not any(model.calls_tools for model in models_of(settings)):
        yield Finding.warning(
            "WEB_SEARCH_URL has no effect, because no model calls tools. Set calls_tools for one in LLM_MODELS."
        )


def check_spending(settings: Settings) -> Iterator[Finding]:
    """Warn about limits of cost that do not apply to models without a price."""
    names = [limit.setting.upper() for limit in Limit.all_of(settings.of(AnswersSettings)) if limit.unit == "cost"]
    parts = [settings, *(settings.of(feature.settings) for feature in installed_features() if feature.settings)]
    others = {name.upper(): value for name, value in chain.from_iterable(parts) if isinstance(value, LlmModel)}
    models = {model.name: model for model in models_of(settings)} | others
    free = [name for name, model in models.items() if not model.has_price]
    if names and free:
        yield Finding.warning(
            f"{names[0]} does not limit {', '.join(free)}, which has no price. Unless it is free, set its prices, such "
            "as price_per_million_prompt_tokens and price_per_million_answer_tokens in LLM_MODELS."
        )
