"""Status page of answers: today's usage, and the switch."""

from collections.abc import Sequence

from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col

from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.limits import money
from opportune.contrib.answers.spending.models import TOTAL, LlmUsage
from opportune.contrib.answers.spending.switch import read_switch
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n import ngettext
from opportune.i18n.formats import format_number


async def spending_lights(app: FastAPI) -> Sequence[HealthLight]:
    guard: SpendingGuard = app.state.llm.guard
    sums = [
        func.sum(column)
        for column in (LlmUsage.calls, LlmUsage.prompt_tokens, LlmUsage.completion_tokens, LlmUsage.cost_micro)
    ]
    query = select(*sums).where(col(LlmUsage.payer) == TOTAL, col(LlmUsage.day) == guard.now().date())
    async with app.state.database.reader(fresh=True) as session:
        off = await read_switch(session)
        calls, prompt, completion, cost = (int(number or 0) for number in (await session.execute(query)).one())
    total = prompt + completion
    answers = ngettext("%(number)s answer", "%(number)s answers", calls, number=format_number(calls))
    tokens = ngettext("%(number)s token", "%(number)s tokens", total, number=format_number(total))
    amount = money(cost, guard.answers_settings.llm_currency)
    text = _("%(answers)s, %(tokens)s, %(cost)s", answers=answers, tokens=tokens, cost=amount)
    usage = HealthLight("Today", text, url="/admin/llm")
    if off is None:
        return [usage]
    text, hint = _("switched off by %(user)s", user=off.said), _("Switch them on under Operations.")
    return [HealthLight("Answers", text, "notice", "/admin/operations", hint), usage]
