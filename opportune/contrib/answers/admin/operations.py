"""Switch of answers on the page Operations, and the alert of a site without a language model."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.contrib.answers.spending import switch
from opportune.feature import AdminPanel
from opportune.i18n import gettext as _


async def _switch_state(request: Request) -> Mapping[str, Any]:
    async with request.app.state.database.reader(fresh=True) as session:
        return {"off": await switch.read_switch(session)}


async def _read_alert(request: Request) -> Mapping[str, Any] | None:
    """Return the variables of the alert. None hides it."""
    return {} if await request.app.state.llm.waits_for_choice() else None


async def switch_off(session: AsyncSession, request: Request) -> str:
    if await switch.switch_off(session, request.state.user.email):
        return _("Answers of language models are switched off.")
    return _("Answers of language models were already switched off.")


async def switch_on(session: AsyncSession, _request: Request) -> str:
    if await switch.switch_on(session):
        return _("Answers of language models are switched on again.")
    return _("Answers of language models were already switched on.")


PANELS = (
    AdminPanel("dashboard", "answers/admin_dashboard.html", _read_alert),
    AdminPanel("operations", "answers/admin_operations.html", _switch_state, "bottom"),
)
OPERATIONS = {"switch-llm-off": switch_off, "switch-llm-on": switch_on}
