"""Language models: whether their endpoints can be reached, whether they are switched off, what was spent today."""

import asyncio
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col

from opportune.admin.status.light import HealthLight
from opportune.config.settings import Settings
from opportune.llm.factory import models_of

REACH_TIMEOUT_SECONDS = 3


async def model_lights(app: FastAPI) -> list[HealthLight]:
    """Nobody is asked anything, which might cost: a connection is opened and closed."""
    settings: Settings = app.state.settings
    await app.state.llm.refresh()
    models = models_of(settings) or app.state.llm.models  # or what was chosen in the browser
    addresses = dict.fromkeys(model.base_url for model in models if model.base_url)
    reached = await asyncio.gather(*map(_reach, addresses))
    return [*reached, *(await _spending(app) if any(each.name == "answers" for each in app.state.features) else ())]


async def _reach(address: str) -> HealthLight:
    parts = urlsplit(address)
    name, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(REACH_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(name, port)
    except socket.gaierror:
        return HealthLight(
            name, "has no address", "fault", hint="Is its address, in the settings or where it was chosen, right?"
        )
    except (OSError, TimeoutError):
        hint = "Is it running, and does the host let connections out? Answers fail until then, or come from a fallback."
        return HealthLight(name, f"cannot be reached at port {port}", "fault", hint=hint)
    writer.close()
    return HealthLight(name, "can be reached")


async def _spending(app: FastAPI) -> Sequence[HealthLight]:
    from opportune.answers.spending.guard import SpendingGuard  # noqa: PLC0415 - sites without answers have none
    from opportune.answers.spending.limits import money  # noqa: PLC0415 - as above
    from opportune.answers.spending.models import TOTAL, LlmUsage  # noqa: PLC0415 - as above
    from opportune.answers.spending.switch import read_switch  # noqa: PLC0415 - as above

    guard: SpendingGuard = app.state.llm.guard
    sums = [
        func.sum(column)
        for column in (LlmUsage.calls, LlmUsage.prompt_tokens, LlmUsage.completion_tokens, LlmUsage.cost_micro)
    ]
    query = select(*sums).where(col(LlmUsage.payer) == TOTAL, col(LlmUsage.day) == guard.now().date())
    async with app.state.database.reader(fresh=True) as session:
        off = await read_switch(session)
        calls, prompt, completion, cost = (int(number or 0) for number in (await session.execute(query)).one())
    words = f"{calls:,} answers, {prompt + completion:,} tokens, {money(cost, guard.own.llm_currency)}"
    spent = HealthLight("Today", words, address="/admin/llm")
    if off is None:
        return [spent]
    hint = "Operations switches them on."
    return [HealthLight("Answers", f"switched off by {off.said}", "notice", "/admin/operations", hint), spent]
