"""Titles generated after the first answer."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select, update
from sqlmodel import col

from app.chat import conversations
from app.chat.conversations import title_from_question
from app.chat.jobs import parse_title
from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.llm import FakeProvider
from opportune.testing import RecordedJobs, make_user, signed_in_client
from tests.chat.conversations import ask, find_path


@pytest.fixture
def _no_titles() -> None:
    """Generate titles, which the fixture of conftest.py turns off."""


@pytest.mark.parametrize(
    ("reply", "title"),
    [
        ('Title: **"Songs of whales".**\n', "Songs of whales"),
        ("Sure!\nHere is a title", ""),
        ("A title " * 20, ""),
        ("Bell\a", ""),
    ],
)
def test_long_or_multiline_reply_is_not_a_title(reply: str, title: str) -> None:
    assert parse_title(reply) == title


@pytest.mark.parametrize("part", ["[a](", "*a", "# "])
def test_title_is_from_a_bounded_text(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    expression = Mock(wraps=conversations.MARKS)
    monkeypatch.setattr(conversations, "MARKS", expression)
    assert len(title_from_question(f"  ?{part * 100_000}")) <= 60
    assert len(expression.sub.call_args.args[1]) == 500


async def test_first_answer_creates_a_title(
    app: FastAPI, user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    created = await ask(user_client, "Why do whales sing?")
    page = created["page"]
    assert recorded_jobs.names == ["chat.title"]
    poll = find_path((await user_client.get(f"{page}/stream")).text, r"/chat/N/title\?tries=1")
    assert "tries=2" in (await user_client.get(poll)).text, "there is no title yet"
    assert (await user_client.get(f"{page}/title?tries=4")).text == "", "polling ends after some tries"
    fake_llm.script = ["Songs of whales"]
    await recorded_jobs.work()
    assert await count_user_calls(app) == 2, "the title counts as a call of the user"
    assert "Why do whales sing?" in fake_llm.received[-1][-1].content
    titled = (await user_client.get(poll)).text
    assert 'hx-target="#title"' in titled
    assert "Songs of whales" in titled
    async with signed_in_client(app) as other:
        assert (await other.get(poll)).status_code == 404
    await ask(user_client, "And?", f"{created['url']}/messages")
    assert "title?tries" not in (await user_client.get(f"{page}/stream")).text
    assert recorded_jobs.names == [], "only the first answer queues a title"


@pytest.mark.parametrize(
    "script", [["on and on " * 50, asyncio.Event()], [llm.LlmError("timeout", "Too slow.")]], ids=["endless", "failed"]
)
async def test_unusable_title_keeps_the_first_words(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs, script: list[Any]
) -> None:
    created = await ask(user_client, "One?")
    fake_llm.script = script
    async with asyncio.timeout(30):
        await recorded_jobs.work()
    assert len(fake_llm.received) == 2
    assert (await user_client.get(created["url"])).json()["title"] == "One?"
    assert "?tries=2" in (await user_client.get(f"{created['page']}/title?tries=1")).text


async def test_manual_title_wins(user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs) -> None:
    url = (await ask(user_client, "One?"))["url"]
    may_finish = asyncio.Event()
    fake_llm.script, fake_llm.received = ["Of the model", may_finish], []
    work = asyncio.create_task(recorded_jobs.work())
    async with asyncio.timeout(30):
        while not fake_llm.received:
            await asyncio.sleep(0)
        await user_client.patch(url, json={"title": "Mine"})
        may_finish.set()
        await work
    assert (await user_client.get(url)).json()["title"] == "Mine"


async def test_unneeded_title_is_not_requested(
    app: FastAPI, user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    await user_client.patch((await ask(user_client))["url"], json={"title": "Mine"})
    await recorded_jobs.work()
    await ask(user_client)
    async with app.state.database.writer() as session:
        await session.execute(update(User).values(is_active=False))
    await recorded_jobs.work()
    assert len(fake_llm.received) == 2, "only the questions, of a renamed conversation and of a deactivated user"


async def test_title_is_charged_to_a_visitor(app: FastAPI, fake_llm: FakeProvider, recorded_jobs: RecordedJobs) -> None:
    owner = await make_user(app.state.database, "demo@example.com")
    app.state.llm.guard.answers_settings = AnswersSettings(llm_demo_accounts=owner.email)
    async with signed_in_client(app, owner) as client:
        await ask(client)
        await recorded_jobs.work()
    assert len(fake_llm.received) == 2
    assert await count_user_calls(app) is None


async def count_user_calls(app: FastAPI) -> int | None:
    await app.state.llm.guard.flusher.flush()
    async with app.state.database.reader(fresh=True) as session:
        statement = select(func.sum(LlmUsage.calls)).where(col(LlmUsage.owner_id).is_not(None))
        calls: int | None = await session.scalar(statement)
    return calls
