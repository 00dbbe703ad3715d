"""Status page of answers: today's usage, and the switch."""

from collections.abc import Sequence

from fastapi import FastAPI

from opportune.contrib.answers.admin.usage import UsageRow, sum_by_model
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.limits import money
from opportune.contrib.answers.spending.switch import read_switch
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n import ngettext
from opportune.i18n.formats import format_number


async def spending_lights(app: FastAPI) -> Sequence[HealthLight]:
    guard: SpendingGuard = app.state.llm.guard
    async with app.state.database.reader(fresh=True) as session:
        off = await read_switch(session)
        usage = await sum_by_model(session, guard.now().date())
    lights = [HealthLight("Today", _in_words(usage, guard.answers_settings.llm_currency), url="/admin/llm")]
    if off:
        text, hint = _("switched off by %(user)s", user=off.said), _("Switch them on under Operations.")
        lights.insert(0, HealthLight("Answers", text, "notice", "/admin/operations", hint))
    return lights


def _in_words(usage: Sequence[UsageRow], currency: str) -> str:
    calls, tokens = sum(row.calls for row in usage), sum(row.tokens for row in usage)
    return _(
        "%(answers)s, %(tokens)s, %(cost)s",
        answers=ngettext("%(number)s answer", "%(number)s answers", calls, number=format_number(calls)),
        tokens=ngettext("%(number)s token", "%(number)s tokens", tokens, number=format_number(tokens)),
        cost=money(sum(row.cost_micro for row in usage), currency),
    )
