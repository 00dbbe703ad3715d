"""Costs of language models, and the switch that turns them off."""

from datetime import timedelta

from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.limits import Limit
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.llm import FakeProvider
from opportune.testing.factories import make_user
from tests.opportune.contrib.operations.pages import PAGE, flash_messages, read_entries

LLM = "/admin/llm"


async def test_answers_are_switched_off_and_on(app: FastAPI, operator: AsyncClient, fake_llm: FakeProvider) -> None:
    assert "Yes, switch off" in (await operator.get(PAGE)).text
    await operator.post(f"{PAGE}/do/switch-llm-off")
    assert await flash_messages(operator) == "Answers of language models are switched off."
    page = await operator.get(PAGE)
    assert "Off since" in page.text
    assert "root@example.com" in page.text
    assert "Answers are switched off since" in (await operator.get(LLM)).text
    await operator.post(f"{PAGE}/do/switch-llm-off")
    assert await flash_messages(operator) == "Answers of language models were already switched off."
    await operator.post(f"{PAGE}/do/switch-llm-on")
    assert await flash_messages(operator) == "Answers of language models are switched on again."
    assert [name for name, _ in await read_entries(app)] == ["switch-llm-off", "switch-llm-off", "switch-llm-on"]


async def test_usage_is_shown_by_day_model_and_user(
    app: FastAPI, superuser_client: AsyncClient, staff_client: AsyncClient, client: AsyncClient, user: User
) -> None:
    guard: SpendingGuard = app.state.llm.guard
    guard.limits = [*Limit.all_of(AnswersSettings(llm_max_tokens_per_month=10_000))]
    today = guard.now().date()
    deleted_user = await make_user(app.state.database, "gone@example.com")
    numbers = {"calls": 2, "prompt_tokens": 1_000, "completion_tokens": 500, "cost_micro": 1_234_500}
    async with app.state.database.writer() as session:
        for payer, owner, model, day in (
            ("", user.id, "Fast", today),
            ("", deleted_user.id, "Fast", today),
            ("visitors", None, "Slow", today),
            ("visitor:1a2b", None, "Slow", today),
            ("site", None, "Slow", today - timedelta(days=20)),
            ("total", None, "Fast", today),
            ("total", None, "Slow", today - timedelta(days=20)),
        ):
            numbers["estimated_tokens"] = 750 if payer == "visitors" else 0
            session.add(LlmUsage(payer=payer, owner_id=owner, model=model, day=day, **numbers))
        await session.flush()
        await session.delete(await session.get_one(User, deleted_user.id))
    page = (await superuser_client.get(LLM)).text.replace("<wbr>", "")
    for text in (user.email, "Deleted users", "Visitors", "jobs and commands", "1.23\N{NO-BREAK SPACE}USD", "50%"):
        assert text in page, text
    assert page.index("Visitors") < page.index(user.email), "the payer with the most tokens is first"
    assert "1a2b" not in page
    assert "gone@" not in page
    assert "Cost in USD by day: 2.46" in page or "Cost in USD by day: 2.47" in page
    assert "Tokens of Slow by day: 1,500" in page
    week = (await superuser_client.get(f"{LLM}?days=7&model=Fast")).text
    assert "jobs and commands" not in week
    assert "Tokens by day: 1,500" in week
    assert (await staff_client.get(LLM)).status_code == 403
    assert (await client.get(LLM)).status_code in (303, 403)
    assert (await superuser_client.get(f"{LLM}?days=x&model=None")).status_code == 200
