# startproject: leave out without teams
"""To-dos of teams: members of the current team see and change them, other users do not find them."""

import json
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import delete, select
from sqlmodel import col

from app.todos.demo import SAMPLES, TEAM_TITLES, load
from app.todos.models import Todo
from app.todos.search import search_todos
from opportune.accounts import User
from opportune.contrib.teams import Team, TeamMember, TeamRole
from opportune.db import Database
from opportune.llm import ToolCall
from opportune.llm.tools import toolbox_of
from opportune.testing import Make, make_team, make_token, make_user, signed_in_client

pytestmark = pytest.mark.database("sqlite")

API = "/api/v1/todos"


@pytest.fixture
async def team(database: Database, ann: User, bob: User) -> Team:
    """Team of Ann, with Bob as a member."""
    return await make_team(database, ann, {TeamRole.MEMBER: bob})


@pytest.fixture
async def todo(make: Make, team: Team) -> Todo:
    return await make(Todo, team_id=team.id, title="Paint the fence")


@pytest.fixture
async def member(app: FastAPI, bob: User, todo: Todo) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, bob) as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI, database: Database, todo: Todo) -> AsyncIterator[AsyncClient]:
    """Browser of a user of another team."""
    user = await make_user(database)
    await make_team(database, user, name="Others")
    async with signed_in_client(app, user) as client:
        yield client


async def list_titles(client: AsyncClient, **headers: str) -> list[str]:
    return [row["title"] for row in (await client.get(API, headers=headers)).json()["items"]]


async def assert_not_found(client: AsyncClient, todo: Todo) -> None:
    """Check that no page and no API shows or changes the to-do."""
    assert todo.title not in (await client.get("/todos")).text
    assert await list_titles(client) == []
    assert (await client.get(f"{API}/statistics")).json()["total"] == 0
    for method in ("GET", "PATCH", "DELETE"):
        assert (await client.request(method, f"{API}/{todo.id}", json={"done": True})).status_code == 404, method
    assert (await client.get(f"/todos/{todo.id}")).status_code == 404
    for action in ("", "/done", "/delete", "/restore"):
        response = await client.post(f"/todos/{todo.id}{action}", data={"title": "Mine", "done": "true"})
        assert response.status_code == 404, action


@pytest.mark.database("sqlite", "postgresql")
async def test_member_sees_and_changes_todos_of_the_team(member: AsyncClient, todo: Todo) -> None:
    assert todo.title in (await member.get("/todos")).text
    assert (await member.patch(f"{API}/{todo.id}", json={"title": "Paint the gate"})).status_code == 200
    assert (await member.post(f"/todos/{todo.id}/done", data={"done": "true"})).status_code == 303
    assert (await member.get(f"{API}/statistics")).json()["done"] == 1
    assert (await member.post(f"/todos/{todo.id}/delete")).status_code == 303
    assert (await member.post(f"/todos/{todo.id}/restore")).status_code == 303
    assert await list_titles(member) == ["Paint the gate"]


async def test_new_todo_belongs_to_the_team(member: AsyncClient, browser: AsyncClient) -> None:
    await member.post("/todos", data={"title": "Mow the lawn"})
    assert "Mow the lawn" in await list_titles(browser)


async def test_switcher_changes_the_list(member: AsyncClient, make: Make, bob: User, team: Team) -> None:
    await make(Todo, owner_id=bob.id, title="Buy milk")
    assert await list_titles(member) == ["Paint the fence"]
    await member.post("/teams/personal/switch")
    assert await list_titles(member) == ["Buy milk"]
    await member.post(f"/teams/{team.id}/switch")
    assert await list_titles(member) == ["Paint the fence"]


async def test_anonymous_user_has_to_sign_in(client: AsyncClient, todo: Todo) -> None:
    assert (await client.get(f"{API}/{todo.id}")).status_code == 401
    assert (await client.get(f"/todos/{todo.id}")).headers["location"].startswith("/accounts/login")


async def test_user_without_a_team_finds_none(app: FastAPI, database: Database, todo: Todo) -> None:
    async with signed_in_client(app, await make_user(database)) as client:
        await assert_not_found(client, todo)


async def test_member_of_another_team_finds_none(stranger: AsyncClient, todo: Todo) -> None:
    await assert_not_found(stranger, todo)


async def test_removed_member_finds_none(member: AsyncClient, database: Database, bob: User, todo: Todo) -> None:
    await member.patch(f"{API}/{todo.id}", json={"notes": "Green"})
    async with database.writer() as session:
        await session.execute(delete(TeamMember).where(col(TeamMember.user_id) == bob.id))
    await assert_not_found(member, todo)


async def test_todos_stay_when_a_member_is_deleted(
    member: AsyncClient, browser: AsyncClient, database: Database, bob: User
) -> None:
    await member.post(API, json={"title": "Mow the lawn"})
    async with database.writer() as session:
        await session.delete(await session.merge(bob))
    assert sorted(await list_titles(browser)) == ["Mow the lawn", "Paint the fence"]


async def test_token_reads_the_team_of_its_header(
    client: AsyncClient, database: Database, bob: User, team: Team, todo: Todo
) -> None:
    other_team = await make_team(database, name="Others")
    token = f"Bearer {await make_token(database, bob)}"
    assert await list_titles(client, **{"Authorization": token, "X-Team": str(team.id)}) == [todo.title]
    assert await list_titles(client, **{"Authorization": token, "X-Team": "personal"}) == []
    refused = await client.get(API, headers={"Authorization": token, "X-Team": str(other_team.id)})
    assert refused.status_code == 404


async def test_search_and_panel_use_the_current_team(
    app: FastAPI, member: AsyncClient, database: Database, bob: User, make: Make
) -> None:
    await make(Todo, owner_id=bob.id, title="Paint my room")
    for title in ("Paint the fence", "Paint my room"):
        async with database.reader(fresh=True) as session:
            assert [link.label for link in await search_todos(session, bob, "paint", 5)] == [title]
        assert 'href="/todos?state=open">1 ' in (await member.get("/accounts/profile")).text
        await member.post("/teams/personal/switch")


async def test_search_of_another_team_finds_none(database: Database, stranger: AsyncClient, ann: User) -> None:
    user = await make_user(database)
    async with database.reader(fresh=True) as session:
        assert await search_todos(session, user, "paint", 5) == []
        assert await search_todos(session, None, "paint", 5) == []


async def test_tools_use_the_current_team(app: FastAPI, database: Database, bob: User, todo: Todo) -> None:
    toolbox = toolbox_of(app)
    await toolbox.call(ToolCall("call_0", "add_todo", json.dumps({"todo": {"title": "Mow the lawn"}})), bob)
    for user, count in ((bob, 2), (await make_user(database), 0)):
        result = await toolbox.call(ToolCall("call_1", "list_todos", "{}"), user)
        assert len(json.loads(result.text)) == count


async def test_export_of_personal_data_has_no_todos_of_teams(member: AsyncClient) -> None:
    assert (await member.get("/api/v1/users/me/export")).json()["todos"].get("todo", []) == []


async def test_admin_shows_the_team(superuser_client: AsyncClient, todo: Todo) -> None:
    page = (await superuser_client.get("/admin/todo/list")).text
    assert todo.title in page
    assert "Crew" in page


@pytest.mark.database("sqlite", "postgresql")
async def test_admin_needs_either_a_user_or_a_team(superuser_client: AsyncClient, ann: User, team: Team) -> None:
    for owners in ({}, {"owner_id": str(ann.id), "team_id": str(team.id)}):
        response = await superuser_client.post("/admin/todo/create", data={"title": "Mine", **owners})
        assert response.status_code == 400, owners
    response = await superuser_client.post("/admin/todo/create", data={"title": "Ours", "team_id": str(team.id)})
    assert response.status_code == 303


async def test_demo_adds_todos_to_the_team(database: Database) -> None:
    superuser = await make_user(database, is_superuser=True)
    team = await make_team(database, superuser)
    async with database.writer() as session:
        assert await load(session) == len(SAMPLES)
        shared = await session.scalars(select(col(Todo.title)).where(col(Todo.team_id) == team.id))
        assert set(shared) == set(TEAM_TITLES)


async def test_team_is_deleted_with_its_todos(browser: AsyncClient, database: Database, team: Team, todo: Todo) -> None:
    async with database.writer() as session:
        await session.execute(delete(Team).where(col(Team.id) == team.id))
        assert await session.get(Todo, todo.id) is None
