"""Read-only links to conversations."""

import asyncio
import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text

from app.chat import share_pages
from app.chat.conversation_view import MAX_QUESTIONS_PER_PAGE
from app.chat.conversations import Conversations, find_leaf
from app.chat.sharing import Shares
from opportune.accounts import User
from opportune.contrib.llm import FakeProvider, LlmError
from opportune.db import Database
from opportune.testing import PASSWORD, make_user, signed_in_client
from opportune.web import HOUR_SECONDS, RateLimit
from tests.chat.conversations import API, make_answer, make_conversation


async def test_link_shows_only_the_shared_branch(app: FastAPI, client: AsyncClient) -> None:
    owner = await make_user(app.state.database, display_name="Ada Lovelace")
    number = await make_conversation(app.state.database, owner.id, 1)
    async with signed_in_client(app, owner) as ada:
        response = await ada.post(f"/chat/{number}/share")
        assert re.fullmatch(r"/chat/shared#s\d+", response.headers["location"])
        link = re.search(r'value="http://[^/]+(/chat/shared/[\w-]{22})"', (await ada.get("/chat/shared")).text)
        assert link
        again = (await ada.post(f"{API}/{number}/shares")).json()
        assert again["path"] == link[1], "sharing again returns the same link"
        async with app.state.database.writer() as session:  # later messages, and another branch
            conversations = Conversations(session, owner.id)
            conversation = await conversations.get(number)
            assert conversation
            leaf = await find_leaf(session, conversation)
            later = await conversations.add_question(conversation, "A later question?", parent_id=leaf)
            await conversations.add_answer(make_answer(owner.id, conversation, "Later."), later)
            other = await conversations.add_question(conversation, "Another branch?")
            await conversations.add_answer(make_answer(owner.id, conversation, "Of it."), other)
        await ada.patch(f"{API}/{number}", json={"title": "A new title"})
        response = await client.get(link[1])
        assert response.headers["x-robots-tag"] == "noindex, nofollow"
        assert response.headers["cache-control"] == "private, no-store"
        assert all(
            text in response.text for text in ("A long conversation", "Question 0?", "Answer 0.", 'content="noindex')
        )
        hidden = ("Lovelace", owner.email, "A new title", "A later", "Later.", "Another branch", "Of it.")
        assert [text for text in hidden if text in response.text] == []
        for message in (later.id, other.id):
            assert "Another branch" not in (await client.get(f"{link[1]}?before={message}")).text


IS_WAITING = text(
    "SELECT bool_or(NOT granted) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = current_database()"
)


@pytest.mark.database("postgresql")
async def test_parallel_links_are_one(user_client: AsyncClient, user: User, database: Database, number: int) -> None:
    async with database.writer() as session:
        conversation = await Conversations(session, user.id).get(number)
        assert conversation
        share = await Shares(session, user.id).create(conversation)
        other = asyncio.create_task(user_client.post(f"{API}/{number}/shares"))
        while not (other.done() or await session.scalar(IS_WAITING)):
            await asyncio.sleep(0.01)
    assert (await other).json()["path"] == share.path


async def test_deleted_link_shows_nothing(user_client: AsyncClient, client: AsyncClient, number: int) -> None:
    share = (await user_client.post(f"{API}/{number}/shares")).json()
    listed = (await user_client.get(f"{API}/shares")).json()["items"]
    assert [(item["id"], item["path"]) for item in listed] == [(share["id"], share["path"])]
    assert (await user_client.post(f"/chat/shared/{share['id']}/delete")).headers["location"] == "/chat/shared"
    assert (await client.get(share["path"])).status_code == 404
    new_share = (await user_client.post(f"{API}/{number}/shares")).json()
    assert new_share["path"] != share["path"]
    for is_temporary, status in ((True, 404), (False, 200)):
        await user_client.patch(f"{API}/{number}", json={"is_temporary": is_temporary})
        assert (await client.get(new_share["path"])).status_code == status


async def test_shared_pages_and_unfinished_answers(
    app: FastAPI, user_client: AsyncClient, user: User, client: AsyncClient, fake_llm: FakeProvider
) -> None:
    number = await make_conversation(app.state.database, user.id, MAX_QUESTIONS_PER_PAGE + 1)
    path = (await user_client.post(f"{API}/{number}/shares")).json()["path"]
    newest = (await client.get(path)).text
    earlier = re.search(r'href="(\?before=\d+)">', newest)
    assert "Question 0?" not in newest
    assert earlier
    assert "Question 0?" in (await client.get(path + earlier[1])).text
    fake_llm.script = ["Half", asyncio.Event()]
    created = await user_client.post(API, json={"content": "Why?"})
    url = created.json()["stream_url"].removesuffix("/stream")
    assert (await user_client.post(f"{url}/shares")).status_code == 409
    page = f"/chat/{url.rpartition('/')[2]}"
    assert (await user_client.post(f"{page}/share")).headers["location"] == page


async def test_continued_answers_and_inactive_owners_stay_private(
    app: FastAPI, user_client: AsyncClient, user: User, client: AsyncClient, fake_llm: FakeProvider
) -> None:
    fake_llm.script = ["Public", LlmError("interrupted", "Cut.")]
    created = (await user_client.post(API, json={"content": "Why?"})).json()
    path, answer_id = created["stream_url"].removesuffix("/stream"), created["answer"]["id"]
    await user_client.get(created["stream_url"])  # until the answer has ended
    link = (await user_client.post(f"{path}/shares")).json()["path"]
    assert "Public" in (await client.get(link)).text
    fake_llm.script = [" and private"]
    await user_client.post(f"{path}/messages/{answer_id}/continue")
    await user_client.get(created["stream_url"])
    html = (await client.get(link)).text
    assert "private" not in html
    newer = (await user_client.post(f"{path}/shares")).json()["path"]
    assert "Public and private" in (await client.get(newer)).text
    async with app.state.database.writer() as session:
        (await session.get_one(User, user.id)).is_active = False
    assert (await client.get(newer)).status_code == 404


async def test_guessing_links_is_limited(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_pages, "UNKNOWN_LINKS", RateLimit("chat.wrong_link", 2, HOUR_SECONDS, storage="cache"))
    answers = [(await client.get(f"/chat/shared/{'x' * 22}")).status_code for _ in range(3)]
    assert answers == [404, 404, 429]
    assert (await client.get(f"/chat/shared/{'x' * 41}")).status_code in (404, 422, 429)


async def test_impersonator_cannot_share(app: FastAPI) -> None:
    owner = await make_user(app.state.database)
    number = await make_conversation(app.state.database, owner.id, 1)
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as boss:
        await boss.post("/accounts/confirm", data={"current_password": PASSWORD})
        form = {"reason": "A test", "may_write": "y"}
        await boss.post(f"/admin/user/impersonate/{owner.id}", data=form)
        assert (await boss.get(f"/chat/{number}")).status_code == 200
        assert (await boss.post(f"/chat/{number}/share")).status_code == 403
        assert (await boss.post(f"{API}/{number}/shares")).status_code == 403
        assert (await boss.get(f"{API}/shares")).json()["total"] == 0
