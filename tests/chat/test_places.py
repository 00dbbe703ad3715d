"""Folders, pins and temporary conversations."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select, update
from sqlmodel import col

from app.chat.jobs import TEMPORARY_HOURS, delete_temporary, write_title
from app.chat.models import Conversation, Message
from opportune.accounts import User
from opportune.contrib.answers import Answer
from opportune.contrib.llm import FakeProvider
from opportune.db import utc_now, with_deleted
from opportune.testing import RecordedJobs
from tests.chat.conversations import API, make_conversation


@pytest.fixture
def _no_titles() -> None:
    """Generate titles, which the fixture of conftest.py turns off."""


@pytest.fixture
async def numbers(app: FastAPI, user: User) -> list[int]:
    return [await make_conversation(app.state.database, user.id, 1) for _ in range(2)]


async def listed(client: AsyncClient, query: str = "") -> list[int]:
    return [row["id"] for row in (await client.get(f"{API}{query}")).json()["items"]]


async def test_pinned_conversation_is_first(user_client: AsyncClient, numbers: list[int]) -> None:
    assert await listed(user_client) == numbers[::-1]
    await user_client.post(f"/chat/{numbers[0]}/place/pin")
    assert await listed(user_client) == numbers
    assert ">Pinned<" in (await user_client.get("/chat")).text
    await user_client.post(f"/chat/{numbers[0]}/place/unpin")
    assert await listed(user_client) == numbers[::-1]


async def test_folder_filters_the_list(user_client: AsyncClient, numbers: list[int]) -> None:
    await user_client.post(f"/chat/{numbers[0]}/move", data={"folder": "Trips & co"})
    assert (await user_client.get(f"{API}/folders")).json() == ["Trips & co"]
    assert await listed(user_client, "?folder=Trips%20%26%20co") == [numbers[0]]
    html = (await user_client.get("/chat?folder=Trips%20%26%20co")).text
    assert f'id="c{numbers[0]}"' in html
    assert f'id="c{numbers[1]}"' not in html
    assert '<input type="hidden" name="folder" value="Trips &amp; co">' in html, "a new conversation is in the folder"
    await user_client.post(f"/chat/{numbers[0]}/move", data={"folder": ""})
    assert (await user_client.get(f"{API}/folders")).json() == []


async def test_temporary_conversation_is_not_listed_or_found(
    user_client: AsyncClient, fake_llm: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    assert 'name="is_temporary" value="true"' in (await user_client.get("/chat?temporary=true")).text
    page = (await user_client.post("/chat", data={"content": "Whales?", "is_temporary": "true"})).headers["location"]
    await user_client.get(f"{page}/stream")
    assert write_title.name not in recorded_jobs.names
    html = (await user_client.get(page)).text
    assert "Temporary: this conversation" in html
    assert f'id="c{page.rpartition("/")[2]}"' not in html
    assert await listed(user_client) == []
    assert (await user_client.get(f"{API}/search?q=whales")).json()["total"] == 0
    assert "Whales" not in (await user_client.get("/")).text
    assert (await user_client.post(f"/api/v1/conversations/{page.rpartition('/')[2]}/shares")).status_code == 409


async def test_kept_conversation_is_listed(user_client: AsyncClient, fake_llm: FakeProvider) -> None:
    created = (await user_client.post(API, json={"content": "Whales?", "is_temporary": True})).json()
    assert await listed(user_client) == []
    await user_client.post(f"/chat/{created['conversation']}/place/keep")
    assert await listed(user_client) == [created["conversation"]]


async def test_temporary_conversations_are_deleted_after_a_day(
    app: FastAPI, user: User, user_client: AsyncClient, numbers: list[int], recorded_jobs: RecordedJobs
) -> None:
    database, old = app.state.database, utc_now() - timedelta(hours=TEMPORARY_HOURS + 1)
    newer, changed = [await make_conversation(database, user.id, 1) for _ in range(2)]
    async with database.writer() as session:
        await session.execute(update(Conversation).values(is_temporary=True, used_at=old))
        await session.execute(update(Conversation).where(col(Conversation.id) == newer).values(used_at=utc_now()))
        await session.execute(update(Conversation).where(col(Conversation.id) == numbers[0]).values(is_temporary=False))
        await session.execute(update(Conversation).where(col(Conversation.id) == changed).values(is_temporary=False))
    await user_client.patch(f"{API}/{changed}", json={"is_temporary": True})  # its day begins now
    await recorded_jobs.run(delete_temporary())
    async with database.reader() as session:
        ids = [*await session.scalars(with_deleted(select(col(Conversation.id)).order_by(col(Conversation.id))))]
        counts = [await session.scalar(select(func.count()).select_from(model)) for model in (Message, Answer)]
    assert ids == [numbers[0], newer, changed]
    assert counts == [6, 3]
