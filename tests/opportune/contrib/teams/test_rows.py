"""Rows of teams: in the data layer, in routes of a project, and in the examples of docs/teams.md."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.contrib.teams import TeamRole, memberships
from opportune.crud import Crud
from opportune.crud.registry import crud_classes
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.testing import Make, add_permission, make_token, make_user, signed_in_client
from opportune.web.redirects import with_next
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import add_member, member_id
from tests.opportune.contrib.teams.projects import Note, Project, Task, app
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.site_with import database

__all__ = ["app", "database"]  # fixtures

API = "/api/v1/projects"


async def create_project(client: AsyncClient, name: str) -> int:
    response = await client.post(API, json={"name": name})
    assert response.status_code == 201
    number: int = response.json()["id"]
    return number


async def test_members_share_the_rows_of_their_team(clients: Clients, crew: Crew) -> None:
    await create_project(clients["member"], "Ours")
    await create_project(clients["stranger"], "Theirs")
    foreign = {"name": "x", "team_id": crew.other_team.id}
    assert (await clients["member"].post(API, json=foreign)).status_code == 422
    for name, projects in (("owner", ["Ours"]), ("member", ["Ours"]), ("stranger", ["Theirs"])):
        assert [row["name"] for row in (await clients[name].get(API)).json()["items"]] == projects, name
    assert "Ours" in (await clients["admin"].get("/projects")).text


async def test_rows_of_other_teams_are_not_found(clients: Clients) -> None:
    number = await create_project(clients["stranger"], "Theirs")
    for method in ("GET", "PATCH", "DELETE"):
        assert (await clients["owner"].request(method, f"{API}/{number}", json={})).status_code == 404, method
    assert (await clients["member"].get(f"/projects/{number}")).status_code == 404


async def test_admin_has_the_rows_of_the_current_team(app: FastAPI, database: Database, make: Make, crew: Crew) -> None:
    user = await make_user(database, is_staff=True)
    await add_permission(database, user, "project", "*")
    await add_member(database, crew.team, user, TeamRole.MEMBER)
    await make(Project, name="Ours", team_id=crew.team.id)
    theirs = await make(Project, name="Theirs", team_id=crew.other_team.id)
    async with signed_in_client(app, user) as staff:
        page = (await staff.get("/admin/project/list")).text
        assert ("Ours" in page, "Theirs" in page, "/project/delete" in page) == (True, False, False)
        assert (await staff.post("/admin/project/delete?pks=1", data={"confirmed": "yes"})).status_code == 403
        assert (await staff.get(f"/admin/project/edit/{theirs.id}")).status_code == 404
        form = {"name": "New", "team_id": str(crew.other_team.id)}
        assert (await staff.post("/admin/project/create", data=form)).status_code == 400
        assert f'<option value="{crew.team.id}" selected>' in (await staff.get("/admin/project/create")).text
        form["team_id"] = str(crew.team.id)
        assert (await staff.post("/admin/project/create", data=form)).status_code == 303
        await add_member(database, crew.other_team, user, TeamRole.MEMBER)
        await staff.post(f"/teams/{crew.other_team.id}/switch")
        assert "Theirs" in (await staff.get("/admin/project/list")).text


async def test_deletion_may_need_a_role(clients: Clients, make: Make, crew: Crew) -> None:
    row = await make(Project, team_id=crew.team.id)
    for path in (f"/projects/{row.id}/delete", f"{API}/{row.id}"):
        method = "DELETE" if path.startswith("/api") else "POST"
        assert (await clients["member"].request(method, path)).status_code == 403
    assert "Delete" not in (await clients["member"].get(f"/projects/{row.id}")).text
    assert "Delete" in (await clients["admin"].get(f"/projects/{row.id}")).text
    assert (await clients["admin"].delete(f"{API}/{row.id}")).status_code == 204


async def test_rows_refer_to_rows_of_the_same_team(clients: Clients, make: Make, crew: Crew) -> None:
    own_project, other_project = [await make(Project, team_id=team.id) for team in (crew.team, crew.other_team)]
    refused = await clients["member"].post("/api/v1/tasks", json={"title": "Mow", "project_id": other_project.id})
    assert (refused.status_code, "project_id" in refused.text) == (422, True)
    task = {"title": "Mow", "project_id": own_project.id}
    assert (await clients["member"].post("/api/v1/tasks", json=task)).status_code == 201
    form = (await clients["member"].get("/tasks/new")).text
    assert f'<option value="{own_project.id}"' in form
    assert f'<option value="{other_project.id}"' not in form


async def test_routes_of_a_project_take_team_and_role(client: AsyncClient, clients: Clients) -> None:
    assert (await clients["admin"].get("/board")).json() == {"team": "Crew", "role": "admin"}
    for method, path in (("GET", "/board/figures"), ("POST", "/board/close")):
        statuses = [(await clients[name].request(method, path)).status_code for name in TeamRole]
        assert statuses == [200, 200, 403], path
    assert (await client.get("/board")).headers["location"].startswith("/accounts/login")
    assert (await client.get("/board/greeting")).json() == "no team"
    assert (await clients["member"].get("/board/greeting")).json() == "Crew"


async def test_user_without_a_team_creates_one_first(user_client: AsyncClient) -> None:
    for path in ("/projects?q=oak", "/board"):
        page = await user_client.get(path)
        assert page.status_code == 303
        assert page.headers["location"].startswith(with_next("/teams/new", path.partition("?")[0]))
    response = await user_client.post(API, json={"name": "Ours"})
    assert (response.status_code, response.json()["detail"]) == (403, "You are not in a team yet.")
    partial = {"HX-Request-Type": "partial"}
    assert (await user_client.get("/board", headers=partial)).headers["hx-redirect"] == "/teams/new?next=%2F"
    created = await user_client.post("/teams/new", data={"name": "Mine", "next": "/projects?q=oak"})
    assert created.headers["location"] == "/projects?q=oak"
    assert (await user_client.get("/projects")).status_code == 200


async def test_program_names_the_team_in_a_header(app: FastAPI, crew: Crew, database: Database) -> None:
    owner = crew.users["owner"]
    token = {"Authorization": f"Bearer {await make_token(database, owner)}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver", headers=token) as program:
        assert (await program.post(API, json={"name": "Ours"})).json()["team_id"] == crew.team.id
        await add_member(database, crew.other_team, owner, TeamRole.MEMBER)
        response = await program.get(API)
        assert (response.status_code, "header X-Team" in response.json()["detail"]) == (400, True)
        for team, count in ((crew.team, 1), (crew.other_team, 0)):
            assert (await program.get(API, headers={"X-Team": str(team.id)})).json()["total"] == count
        for wrong_id in ("999", "x", "-1", "9" * 30, ""):
            assert (await program.get(API, headers={"X-Team": wrong_id})).status_code == 404, wrong_id
        assert (await program.get("/api/v1/board", headers={"X-Team": str(crew.team.id)})).json()["team"] == "Crew"


@pytest.mark.database("postgresql")
async def test_removed_member_cannot_finish_a_write(clients: Clients, crew: Crew, database: Database) -> None:
    number = await member_id(database, crew.team, crew.users["member"])
    async with database.writer() as session:
        await memberships.delete_member(session, crew.team.id, crew.users["owner"], number)
        writing = asyncio.create_task(clients["member"].post(API, json={"name": "Late"}))
        await asyncio.sleep(0)  # the write has not begun, or waits for the removal
    async with asyncio.timeout(30):
        assert (await writing).status_code in (403, 404)
    assert (await clients["owner"].get(API)).json()["total"] == 0


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (Task, {"team_column": "team_id", "team_roles": {"delete": "boss"}}, r"team_roles: A team has no 'boss'"),
        (Task, {"team_roles": {"delete": "admin"}}, "no team owns the rows"),
        (Note, {"owner_column": "user_id", "team_column": "user_id"}, r'team_column: write owner_column = "user_id"'),
    ],
)
def test_invalid_declaration_is_refused(model: type[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        type("Wrong", (Crud,), {"model": model, **options})


def run_example(marker: str, **names: Any) -> dict[str, Any]:
    (code,) = (text for text in code_blocks(read_guide("teams.md")) if marker in text)
    return run_code(code, **names)


def test_crud_example_belongs_to_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    # The guide's class is not a second one of the site.
    monkeypatch.delitem(crud_classes, Project)  # type: ignore[misc]  # mypy infers no type for a class as a key
    projects = run_example("Crud[Project]", Crud=Crud, Project=Project)["Projects"]
    assert (projects.definition.belongs_to_team, projects.team_roles) == (True, {"delete": "admin"})


async def test_route_examples_know_the_team(app: FastAPI, clients: Clients, crew: Crew, make: Make) -> None:
    names = {"select": select, "col": col, "Project": Project}
    app.include_router(run_example("CurrentTeam, Opt", **names)["router"], prefix="/guide")
    await make(Project, name="Oak", team_id=crew.team.id)
    await make(Project, name="Elm", team_id=crew.other_team.id)
    assert (await clients["member"].get("/guide/board")).json() == ["Oak"]
    assert [(await clients[name].post("/guide/board/close")).status_code for name in ("admin", "member")] == [200, 403]
    assert (await clients["member"].get("/guide/board/greeting")).json() == "Welcome to Crew"
