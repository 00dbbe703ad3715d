"""Usage of model calls: all calls are counted, however they end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending import ledger
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.llm import Done, FakeProvider, LanguageModel, Llm, LlmError, Reasoning
from opportune.contrib.llm.call_guard import Payer
from opportune.contrib.llm.providers.events import Event
from opportune.contrib.llm.providers.openai_stream import ChatCompletionReader
from opportune.db import Database
from opportune.testing import make_user
from tests.opportune.contrib.answers.priced_model import PRICED
from tests.opportune.contrib.answers.questions import ask, wait_until_ended
from tests.opportune.stored_rows import delete_row, read_all

REPORTED_USAGE = Done(prompt_tokens=1000, completion_tokens=500)


@pytest.fixture
async def guard(settings: Settings, database: Database) -> AsyncIterator[SpendingGuard]:
    guard = SpendingGuard(settings, database)
    yield guard
    await guard.close()


@pytest.fixture
def model() -> FakeProvider:
    return FakeProvider("An answer.", REPORTED_USAGE)


@pytest.fixture
def llm(guard: SpendingGuard, model: FakeProvider) -> LanguageModel:
    llm = LanguageModel(lambda: model)
    llm.guard, llm.model, llm.models = guard, PRICED, [PRICED]
    return llm


async def read_usage(guard: SpendingGuard, **criteria: Any) -> list[tuple[str, int, int, int, int, int]]:
    """Return payer, calls, prompt tokens, answer tokens, estimated tokens and cost in millionths."""
    await guard.flusher.flush()
    return [
        (row.payer, row.calls, row.prompt_tokens, row.completion_tokens, row.estimated_tokens, row.cost_micro)
        for row in sorted(await read_all(guard.database, LlmUsage, **criteria), key=lambda row: row.payer)
    ]


@pytest.mark.database("sqlite", "postgresql")
async def test_usage_is_summed_by_day_user_and_model(guard: SpendingGuard, llm: LanguageModel, user: User) -> None:
    for _ in range(2):
        await llm.for_user(user.id).complete("Why?")
    await guard.flusher.flush()
    await llm.for_user(user.id).complete("Why?")
    await llm.complete("Of nobody.")
    of_user = ("", 3, 3000, 1500, 0, 9000)
    assert await read_usage(guard) == [of_user, ("site", 1, 1000, 500, 0, 3000), ("total", 4, 4000, 2000, 0, 12000)]
    assert await read_usage(guard, owner_id=user.id) == [of_user]
    days_and_models = {(row.day, row.model) for row in await read_all(guard.database, LlmUsage)}
    assert days_and_models == {(guard.now().date(), "Fast")}


@pytest.mark.database("sqlite", "postgresql")
async def test_usage_of_deleted_users_is_anonymous(guard: SpendingGuard, llm: LanguageModel, user: User) -> None:
    await llm.for_user(user.id).complete("Why?")
    await guard.flusher.flush()
    await delete_row(guard.database, user)
    await llm.for_user(user.id).complete("As they left.")
    new_user = await make_user(guard.database, "next@example.com")  # SQLite reuses the id
    await llm.for_user(new_user.id).complete("Why?")
    assert len(await read_usage(guard, owner_id=None, payer="")) == 1
    assert (await read_usage(guard, owner_id=new_user.id))[0][1] in (1, 2)  # rows of deleted users have no owner
    assert (await read_usage(guard, payer="total"))[0][1] == 3


@pytest.mark.parametrize(
    ("script", "used"),
    [
        ([LlmError("rate_limited", "No.")], []),
        ([LlmError("timeout", "No.")], [(1, 1, 0, 1)]),
        (["Twelve bytes", LlmError("unavailable", "No.")], [(1, 1, 3, 4)]),
        (["Twelve bytes", Done(prompt_tokens=7)], [(1, 7, 3, 3)]),
        (["A", Done(-5, 10**15)], [(1, 1, 1, 2)]),
        ([Reasoning("x" * 400), "x" * 40], [(1, 1, 110, 111)]),
        ([Reasoning("Hm."), LlmError("out_of_tokens", "Too long.", done=Done(70, 900))], [(1, 70, 900, 0)]),
    ],
    ids=["refused", "timeout", "broken off", "half told", "nonsense", "reasoning", "told with the error"],
)
async def test_call_is_charged_by_how_it_ends(
    guard: SpendingGuard, model: FakeProvider, llm: LanguageModel, script: list[Any], used: list[Any]
) -> None:
    model.script = script
    with suppress(LlmError):
        await llm.complete("Why?")
    assert [row[1:5] for row in await read_usage(guard, payer="total")] == used


async def test_call_is_charged_to_the_fallback(guard: SpendingGuard, model: FakeProvider, llm: LanguageModel) -> None:
    llm.model = PRICED.model_copy(update={"fallback": "Other"})
    other = LanguageModel(lambda: FakeProvider("Here.", REPORTED_USAGE))
    other.guard, other.model = guard, PRICED.model_copy(update={"name": "Other"})
    llm._models_by_name = other._models_by_name = {"Fast": llm, "Other": other}
    model.script = [LlmError("unavailable", "Away.")]
    assert await llm.for_user(1).complete("Why?") == "Here."
    assert len(await read_usage(guard, model="Other", payer="total")) == 1
    assert await read_usage(guard, model="Fast") == []


async def test_stopped_answer_has_a_cost(app: FastAPI, fake_llm: FakeProvider, user: User) -> None:
    app.state.llm.model = PRICED
    fake_llm.script = ["Twelve bytes", asyncio.Event()]
    manager: AnswerManager = app.state.answers
    answer = await ask(manager, user.id, "Why?")
    async with manager.view(answer) as live:
        await anext(live.follow(0))
    await manager.stop(answer)
    answer = await wait_until_ended(manager, answer)
    assert (answer.status, answer.usage_estimated, answer.cost_micro) == ("stopped", True, 13)


async def test_visitors_and_demo_users_count_by_address(app: FastAPI, user: User) -> None:
    @app.get("/told")
    async def complete(llm: Llm) -> str:
        return await llm.complete("Why?")

    app.state.llm.provider = FakeProvider("So.", REPORTED_USAGE)
    guard = app.state.llm.guard
    guard.answers_settings = AnswersSettings(llm_demo_accounts="demo@example.com, Other@example.com")
    demo = await make_user(app.state.database, "other@example.com")
    transport = ASGITransport(app, client=("192.0.2.1", 1))
    async with AsyncClient(transport=transport, base_url="http://testserver") as visitor:
        await visitor.get("/told")
    await guard.flusher.flush()
    assert [row[0].partition(":")[0] for row in await read_usage(guard)] == ["total", "visitor", "visitors"]
    assert "192.0.2" not in str(await read_usage(guard))

    scopes = [{"type": "http", "app": app, "headers": [], "state": {"user": asker}} for asker in (demo, None, user)]
    payers = [guard.payer_of(Request(scope)) for scope in scopes]
    assert [payer.kind for payer in payers] == ["visitor", "visitor", "user"]
    assert payers[-1] == Payer.of_user(user.id)


async def test_usage_survives_outage(guard: SpendingGuard, llm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add_usage", AsyncMock(side_effect=TimeoutError))
        await llm.complete("Why?")
        with pytest.raises(TimeoutError):
            await guard.flusher.flush()
    await llm.complete("Why?")
    assert (await read_usage(guard, payer="total"))[0][1] == 2


async def test_usage_is_counted_once(guard: SpendingGuard, llm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    is_stored, may_end = asyncio.Event(), asyncio.Event()

    async def add_slowly(*arguments: Any, add: Any = ledger.add_usage) -> None:
        await add(*arguments)
        is_stored.set()
        await may_end.wait()

    monkeypatch.setattr(ledger, "add_usage", add_slowly)
    monkeypatch.setattr(ledger, "FLUSH_INTERVAL_SECONDS", 0)
    await llm.complete("Why?")
    await is_stored.wait()
    closing = asyncio.create_task(guard.flusher.close())
    await asyncio.sleep(0)
    may_end.set()
    await closing
    assert (await read_usage(guard, payer="total"))[0][1] == 1


async def test_hanging_flush_ends(guard: SpendingGuard, llm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    is_running = asyncio.Event()

    async def hang(*_arguments: Any) -> None:
        is_running.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ledger, "FLUSH_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(ledger, "MAX_WAIT_SECONDS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "add_usage", hang)
        await llm.complete("Why?")
        await is_running.wait()
    await guard.flusher.close()
    assert (await read_usage(guard, payer="total"))[0][1] == 1


def test_cached_tokens_cost_less() -> None:
    reader = ChatCompletionReader()
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 900}}
    choice = {"delta": {"content": "So."}, "finish_reason": "stop"}
    reader.read(Event("", {"choices": [choice], "usage": usage}))
    assert reader.finish().cached_tokens == 900
    assert PRICED.cost_micro(1000, 10, 900) == 100 + 90 + 40
    assert PRICED.model_copy(update={"price_per_million_cached_tokens": None}).cost_micro(1000, 10, 900) == 1040
