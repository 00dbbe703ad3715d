"""Export and deletion of the documents of a user or team, and the demo collection."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.knowledge.demo import clear, load
from opportune.contrib.knowledge.personal import list_files
from opportune.contrib.knowledge.service import Collections, find_passages, readable_passages
from opportune.contrib.teams.models import Team
from opportune.contrib.teams.testing import make_team
from opportune.db import Database
from opportune.feature import Person
from opportune.testing import RecordedJobs, make_user
from tests.opportune.contrib.knowledge.collections import add_file, make_collection, read_documents


async def test_export_contains_collections_and_documents(
    user_client: AsyncClient, user: User, database: Database
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await make_collection(database, "Others", is_site=True)
    await add_file(user_client, collection.id)
    data = (await user_client.get("/api/v1/users/me/export")).json()["knowledge"]
    assert [row["name"] for row in data["collections"]] == ["Handbook"]
    assert [row["title"] for row in data["documents"]] == ["guide.md"]
    async with database.reader() as session:
        (document,) = await read_documents(database)
        assert list(await list_files(session, Person(user.id, user.email))) == [document.file]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("owner", ["user", "team"])
async def test_files_are_deleted_with_their_owner(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs, owner: str
) -> None:
    team = await make_team(database, user)
    fields: dict[str, Any] = {"owner_id": user.id} if owner == "user" else {"team_id": team.id}
    collection = await make_collection(database, **fields)
    await add_file(user_client, collection.id)
    async with database.writer() as session:
        model, row_id = (User, user.id) if owner == "user" else (Team, team.id)
        await session.delete(await session.get_one(model, row_id))
    assert "jobs.delete_files" in recorded_jobs.names
    assert await read_documents(database) == []


async def test_first_superuser_can_search_the_demo(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    async with database.writer() as session:
        assert [await load(session), await load(session)] == [1, 0]
        passages = readable_passages(Collections(session, superuser))
        assert len(await find_passages(session, "How many books may I borrow?", passages)) == 1
        assert await clear(session) == 1
