"""Deleted conversations: undo, retention, export and deletion with the account."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select, update

from app.chat.models import Conversation, Message, Share
from opportune.accounts import User
from opportune.accounts.flows.deletion import read_personal_data
from opportune.admin.trash.retention import empty_trash
from opportune.contrib.answers import Answer, AnswerAttachment
from opportune.contrib.llm import FakeProvider
from opportune.db import Database, utc_now, with_deleted
from opportune.testing import PASSWORD, RecordedJobs, make_user, picture, signed_in_client
from tests.chat.conversations import API, make_conversation


async def count_rows(database: Database) -> list[int | None]:
    models = (Conversation, Message, Answer, AnswerAttachment, Share)
    async with database.reader() as session:
        return [await session.scalar(with_deleted(select(func.count()).select_from(model))) for model in models]


async def empty_trash_after(database: Database, days: int) -> int:
    async with database.writer() as session:
        await session.execute(update(Conversation).values(deleted_at=utc_now() - timedelta(days)))
    return await empty_trash(database, [Conversation])


async def test_undo_restores_a_conversation(user_client: AsyncClient, number: int) -> None:
    await user_client.post(f"/chat/{number}/delete")
    assert f'method="post" action="/chat/{number}/restore"' in (await user_client.get("/chat")).text
    restored = await user_client.post(f"/chat/{number}/restore")
    assert (restored.status_code, restored.headers["location"]) == (303, f"/chat/{number}")
    assert "Answer 0." in (await user_client.get(f"/chat/{number}")).text
    assert (await user_client.post(f"/chat/{number}/restore")).status_code == 404, "it is not in the trash"


async def test_only_the_owner_restores(app: FastAPI, client: AsyncClient, user: User, number: int) -> None:
    async with signed_in_client(app, user) as owner, signed_in_client(app) as other:
        await owner.delete(f"{API}/{number}")
        for path, anonymous in ((f"/chat/{number}/restore", 303), (f"{API}/{number}/restore", 401)):
            assert [(await http.post(path)).status_code for http in (client, other)] == [anonymous, 404]
        assert (await owner.post(f"{API}/{number}/restore")).json()["id"] == number


async def test_search_and_links_omit_the_trash(user_client: AsyncClient, client: AsyncClient, number: int) -> None:
    link = (await user_client.post(f"{API}/{number}/shares")).json()["path"]
    for action, hits, status in (("delete", 0, 404), ("restore", 1, 200)):
        await user_client.post(f"/chat/{number}/{action}")
        assert (await user_client.get(f"{API}/search?q=answer")).json()["total"] == hits
        assert (await user_client.get(f"{API}/shares")).json()["total"] == hits
        assert (await client.get(link)).status_code == status


@pytest.mark.parametrize("is_account_deleted", [False, True])
async def test_rows_and_files_stay_until_the_purge(
    app: FastAPI,
    user_client: AsyncClient,
    user: User,
    fake_llm: FakeProvider,
    recorded_jobs: RecordedJobs,
    *,
    is_account_deleted: bool,
) -> None:
    fake_llm.sees_images = True
    database, folder = app.state.database, app.state.storage.folder / "attachments"
    file = {"attachments": ("cat.png", picture())}
    path = (await user_client.post("/chat", data={"content": "Who?"}, files=file)).headers["location"]
    await user_client.get(f"{path.replace('/chat', API)}/stream")
    await user_client.post(f"{path}/share")
    await user_client.post(f"{path}/delete")
    assert await empty_trash_after(database, days=6) == 0
    assert (await count_rows(database), len([*folder.iterdir()])) == ([1, 2, 1, 1, 1], 1)
    if is_account_deleted:
        await user_client.post("/accounts/data/delete", data={"email": user.email, "current_password": PASSWORD})
    else:
        assert await empty_trash_after(database, days=8) == 1
        assert (await user_client.post(f"{path}/restore")).status_code == 404
    await recorded_jobs.work()
    assert (await count_rows(database), [*folder.iterdir()]) == ([0, 0, 0, 0, 0], [])


async def test_export_contains_own_conversations_and_trash(app: FastAPI, user_client: AsyncClient, user: User) -> None:
    database = app.state.database
    deleted = await make_conversation(database, user.id, 1)
    await make_conversation(database, user.id, 0)
    await make_conversation(database, (await make_user(database)).id, 1)
    await user_client.post(f"/chat/{deleted}/delete")
    async with database.reader() as session:
        exported = (await read_personal_data(session, app.state.features, user))["chat"]["conversations"]
    texts = [[message["text"] for message in conversation["messages"]] for conversation in exported]
    assert texts == [["Question 0?", "Answer 0."], []]
