"""Titles generated after the first answer."""

import asyncio
import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col

from app.chat.jobs import parse_title
from opportune.contrib import llm
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.llm import FakeProvider
from opportune.testing import RecordedJobs, make_user, signed_in_client

TOO_LONG_TITLE = "Of the model, and much too long for a title of anything that a page shows"
API = "/api/v1/conversations"


@pytest.fixture
def _no_titles() -> None:
    """Generate titles, which the fixture of conftest.py turns off."""


@pytest.mark.parametrize(
    ("reply", "title"),
    [
        ("Songs of whales", "Songs of whales"),
        ('Title: **"Songs of whales".**\n', "Songs of whales"),
        ("", ""),
        ("Sure!\nHere is a title", ""),
        ("A title " * 20, ""),
        ("Bell\a", ""),
    ],
)
def test_long_or_multiline_reply_is_not_a_title(reply: str, title: str) -> None:
    assert parse_title(reply) == title


async def test_first_answer_creates_a_title(app: FastAPI, fake_llm: FakeProvider, recorded_jobs: RecordedJobs) -> None:
    async with signed_in_client(app) as client, signed_in_client(app) as other_client:
        created = (await client.post(API, json={"content": "Why do whales sing?"})).json()
        url = created["stream_url"].removesuffix("/stream")
        page = f"/chat/{url.rpartition('/')[2]}"
        events = (await client.get(f"{page}/stream")).text
        assert recorded_jobs.names == ["chat.title"]
        poll_match = re.search(r'hx-get=\\?"(/chat/\d+/title\?tries=1)', events)
        assert poll_match
        assert "tries=2" in (await client.get(poll_match[1])).text, "there is no title yet"
        assert (await client.get(f"{page}/title?tries=4")).text == "", "polling ends after some tries"

        fake_llm.script = ["Songs of whales"]
        await recorded_jobs.work()
        assert await count_user_calls(app) == 2, "the title counts as a call of the user"
        assert "Why do whales sing?" in fake_llm.received[-1][-1].content
        titled = (await client.get(poll_match[1])).text
        assert 'hx-target="#title"' in titled
        assert "Songs of whales" in titled
        assert (await other_client.get(poll_match[1])).status_code == 404

        created = await client.post(f"{url}/messages", json={"content": "And?"})
        assert "title?tries" not in (await client.get(f"{page}/stream")).text
        assert recorded_jobs.names == [], "only the first answer queues a title"


UNUSABLE_SCRIPTS: list[list[Any]] = [
    [TOO_LONG_TITLE],
    ["on and on " * 50, asyncio.Event()],
    [llm.LlmError("timeout", "Too slow.")],
]


async def test_unusable_title_keeps_the_first_words(
    app: FastAPI, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    async with signed_in_client(app) as client:

        async def ask(question: str) -> str:
            """Ask the first question of a conversation without a title, and return its path."""
            fake_llm.script = ["An answer."]
            created = (await client.post(API, json={"content": question})).json()
            await client.get(created["stream_url"])
            fake_llm.received = []
            return str(created["stream_url"]).removesuffix("/stream")

        for script in UNUSABLE_SCRIPTS:
            url = await ask("One?")
            fake_llm.script = script
            async with asyncio.timeout(30):
                await recorded_jobs.work()
            assert len(fake_llm.received) == 1
            assert (await client.get(url)).json()["title"] == "One?", script
        assert "?tries=2" in (await client.get(f"/chat/{url.rpartition('/')[2]}/title?tries=1")).text

        named, deleted = await ask("Two?"), await ask("Three?")
        await client.patch(named, json={"title": "Mine"})
        await client.post(f"/chat/{deleted.rpartition('/')[2]}/delete")
        await recorded_jobs.work()
        assert fake_llm.received == []
        assert (await client.get(named)).json()["title"] == "Mine"


async def test_manual_title_wins_over_the_model(
    app: FastAPI, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    async with signed_in_client(app) as client:
        created = (await client.post(API, json={"content": "One?"})).json()
        await client.get(created["stream_url"])
        may_finish = asyncio.Event()
        fake_llm.script, fake_llm.received = ["Of the model", may_finish], []
        work = asyncio.create_task(recorded_jobs.work())
        async with asyncio.timeout(30):
            while not fake_llm.received:
                await asyncio.sleep(0)
            await client.patch(url := created["stream_url"].removesuffix("/stream"), json={"title": "Mine"})
            may_finish.set()
            await work
        assert (await client.get(url)).json()["title"] == "Mine"


async def test_title_in_a_shared_account_is_charged_to_the_visitor(
    app: FastAPI, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    owner = await make_user(app.state.database, "demo@example.com")
    app.state.llm.guard.answers_settings = AnswersSettings(llm_demo_accounts=owner.email)
    async with signed_in_client(app, owner) as client:
        created = (await client.post(API, json={"content": "Why?"})).json()
        await client.get(created["stream_url"])
        await recorded_jobs.work()
    assert len(fake_llm.received) == 2
    assert await count_user_calls(app) is None


async def count_user_calls(app: FastAPI) -> int | None:
    await app.state.llm.guard.flush()
    async with app.state.database.reader(fresh=True) as session:
        statement = select(func.sum(LlmUsage.calls)).where(col(LlmUsage.owner_id).is_not(None))
        calls: int | None = await session.scalar(statement)
    return calls
