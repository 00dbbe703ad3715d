"""Rows of teams: the data layer's pages and API, and routes by hand."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.contrib.teams import service
from opportune.contrib.teams.models import TeamMember, TeamRole
from opportune.crud import Crud, CrudApi
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.testing.factories import make_token, signed_in_client
from opportune.testing.rows import Make
from tests.opportune.contrib.teams import projects as sample
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.members import member_id
from tests.opportune.contrib.teams.projects import Project, Projects, Task
from tests.opportune.contrib.teams.test_invitations import Clients
from tests.opportune.site_with import site_with

API = "/api/v1/projects"
sqlite = pytest.mark.database("sqlite")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with projects."""
    async with site_with(sample.projects, sample.ProjectTable.metadata, settings) as app:
        yield app


@pytest.fixture
def database(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database


@pytest.mark.database("sqlite")
async def test_each_sees_and_writes_the_rows_of_their_team(
    client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    assert (await client.get(API)).status_code == 401
    assert (await client.get("/projects")).headers["location"].startswith("/accounts/login")
    added = await clients["member"].post(API, json={"name": "Ours"})
    assert (added.status_code, added.json()["team_id"]) == (201, crew.team.id)
    foreign = (await clients["stranger"].post(API, json={"name": "Theirs"})).json()["id"]
    assert (await clients["member"].post(API, json={"name": "x", "team_id": crew.foreign.id})).status_code == 422

    assert [row["name"] for row in (await clients["owner"].get(API)).json()["items"]] == ["Ours"]
    assert [row["name"] for row in (await clients["stranger"].get(API)).json()["items"]] == ["Theirs"]
    for browser in (clients["owner"], clients["member"]):
        for method in ("GET", "PATCH", "DELETE"):
            expected = 403 if method == "DELETE" and browser is clients["member"] else 404
            assert (await browser.request(method, f"{API}/{foreign}", json={})).status_code == expected
        assert (await browser.get(f"/projects/{foreign}")).status_code == 404
    assert "Ours" in (await clients["admin"].get("/projects")).text
    assert (await clients["member"].post("/projects/new", data={"name": ""})).status_code == 422
    assert (await clients["admin"].post("/projects/new", data={"name": "Second"})).status_code == 303
    assert (await clients["member"].get(API)).json()["total"] == 2


@sqlite
async def test_a_role_may_be_needed_rows_point_at_rows_of_their_team_and_routes_by_hand_ask_for_both(
    clients: Clients, make: Make, crew: Crew, client: AsyncClient
) -> None:
    row = await make(Project, team_id=crew.team.id)
    for path in (f"/projects/{row.id}/delete", f"{API}/{row.id}"):
        method = "DELETE" if path.startswith("/api") else "POST"
        assert (await clients["member"].request(method, path)).status_code == 403
    assert "Delete" not in (await clients["member"].get(f"/projects/{row.id}")).text
    assert "Delete" in (await clients["admin"].get(f"/projects/{row.id}")).text
    assert (await clients["admin"].delete(f"{API}/{row.id}")).status_code == 204

    mine, foreign = await make(Project, team_id=crew.team.id), await make(Project, team_id=crew.foreign.id)
    refused = await clients["member"].post("/api/v1/tasks", json={"title": "Mow", "project_id": foreign.id})
    assert (refused.status_code, "project_id" in refused.text) == (422, True)
    assert (
        await clients["member"].post("/api/v1/tasks", json={"title": "Mow", "project_id": mine.id})
    ).status_code == 201
    form = (await clients["member"].get("/tasks/new")).text
    assert (f'<option value="{mine.id}"' in form, f'<option value="{foreign.id}"' in form) == (True, False)

    assert (await clients["admin"].get("/board")).json() == {"team": "Crew", "role": "admin"}
    answers = [(await clients[name].get("/board/figures")).status_code for name in TeamRole]
    assert answers == [200, 200, 403]
    assert (await client.get("/board")).headers["location"].startswith("/accounts/login")
    assert (await client.get("/board/greeting")).json() == "nobody's"
    assert (await clients["member"].get("/board/greeting")).json() == "Crew"


@sqlite
async def test_whoever_has_no_team_makes_one_first(app: FastAPI) -> None:
    async with signed_in_client(app) as browser:
        for path in ("/projects?q=oak", "/board"):
            page = await browser.get(path)
            assert page.status_code == 303
            assert page.headers["location"].startswith(f"/teams/new?next={path.partition('?')[0]}")
        answer = await browser.post(API, json={"name": "Ours"})
        assert (answer.status_code, answer.json()["detail"]) == (403, "You are in no team yet.")
        partial = {"HX-Request-Type": "partial"}
        assert (await browser.get("/board", headers=partial)).headers["hx-redirect"] == "/teams/new?next=/"
        made = await browser.post("/teams/new", data={"name": "Mine", "next": "/projects?q=oak"})
        assert made.headers["location"] == "/projects?q=oak"
        assert (await browser.get("/projects")).status_code == 200


@sqlite
async def test_a_program_says_which_of_many_teams_it_means(app: FastAPI, crew: Crew, database: Database) -> None:
    owner = crew.people["owner"]
    token = {"Authorization": f"Bearer {await make_token(database, owner)}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver", headers=token) as program:
        assert (await program.post(API, json={"name": "Ours"})).json()["team_id"] == crew.team.id
        async with database.writer() as session:
            session.add(TeamMember(team_id=crew.foreign.id, user_id=owner.id, role=TeamRole.MEMBER))
        answer = await program.get(API)
        assert (answer.status_code, "header X-Team" in answer.json()["detail"]) == (400, True)
        for team, count in ((crew.team, 1), (crew.foreign, 0)):
            assert (await program.get(API, headers={"X-Team": str(team.id)})).json()["total"] == count
        for nobodys in ("999", "x", "-1", "9" * 30, ""):
            assert (await program.get(API, headers={"X-Team": nobodys})).status_code == 404, nobodys
        assert (await program.get("/api/v1/board", headers={"X-Team": str(crew.team.id)})).json()["team"] == "Crew"
    alone = FastAPI()  # the whole site's description takes a quarter of a second
    alone.include_router(CrudApi(Projects, "/projects").router, prefix="/api/v1")
    described = alone.openapi()["paths"][API]["get"]["parameters"]
    assert "X-Team" in [each["name"] for each in described]


@pytest.mark.database("postgresql")
async def test_whoever_is_removed_while_a_request_runs_writes_nothing_more(
    clients: Clients, crew: Crew, database: Database
) -> None:
    number = await member_id(database, crew.team, crew.people["member"])
    async with database.writer() as session:
        await service.remove_member(session, crew.team.id, crew.people["owner"], number)
        writing = asyncio.create_task(clients["member"].post(API, json={"name": "Late"}))
        await asyncio.sleep(0)  # it waits, or has not begun: the removal counts first either way
    async with asyncio.timeout(30):
        assert (await writing).status_code in (403, 404)
    assert (await clients["owner"].get(API)).json()["total"] == 0


@sqlite
async def test_a_service_without_a_request_is_told_the_team(database: Database, crew: Crew) -> None:
    user = crew.people["owner"]
    async with database.writer() as session:
        team = (await service.read_teams(session, user)).teams[0]
        await Projects(session, user, team=team).add({"name": "By a job"})
        assert (await Projects(session, user, team=team).find()).total == 1
        assert not Projects(session, user).may("create")
        assert not Projects(session, None, team=team).may("delete")


def test_what_is_declared_wrongly_is_told_in_a_line() -> None:
    with pytest.raises(OperatorError, match=r"Wrong\.team_roles: A team has no 'boss'"):

        class Wrong(Crud[Task]):
            owner = "team_id"
            team_roles = {"delete": "boss"}

    with pytest.raises(OperatorError, match="no team owns the rows"):

        class Unowned(Crud[Task]):
            team_roles = {"delete": "admin"}

    with pytest.raises(OperatorError, match="team_id"):

        class Elsewhere(Crud[Task]):
            owner = "project_id"
