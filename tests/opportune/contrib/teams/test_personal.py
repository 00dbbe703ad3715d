"""Rows that belong to the current team, or to the user while no team is selected."""

import pytest
from httpx2 import AsyncClient

from opportune.db.database import Database
from opportune.testing.factories import make_token
from opportune.testing.rows import Make
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import member_id
from tests.opportune.contrib.teams.projects import Note, app, database

API = "/api/v1/notes"
PERSONAL = "/teams/personal/switch"


__all__ = ["app", "database"]  # fixtures: a site with the projects feature


@pytest.fixture
async def mine(make: Make, crew: Crew) -> Note:
    return await make(Note, user_id=crew.users["member"].id, name="Mine")


@pytest.fixture
async def ours(make: Make, crew: Crew) -> Note:
    return await make(Note, team_id=crew.team.id, name="Ours")


async def names(browser: AsyncClient, **headers: str) -> list[str]:
    return [row["name"] for row in (await browser.get(API, headers=headers)).json()["items"]]


async def test_new_row_belongs_to_the_current_team(clients: Clients, crew: Crew) -> None:
    row = (await clients["member"].post(API, json={"name": "Ours"})).json()
    assert (row["team_id"], row["user_id"]) == (crew.team.id, None)
    assert await names(clients["owner"]) == ["Ours"]
    assert await names(clients["stranger"]) == []


async def test_rows_of_the_other_scope_are_not_found(clients: Clients, mine: Note, ours: Note) -> None:
    browser = clients["member"]
    assert (await browser.get(f"/notes/{mine.id}")).status_code == 404
    await browser.post(PERSONAL)
    for method in ("GET", "PATCH", "DELETE"):
        assert (await browser.request(method, f"{API}/{ours.id}", json={})).status_code == 404, method


async def test_team_roles_apply_to_rows_of_the_team(clients: Clients, mine: Note, ours: Note) -> None:
    browser = clients["member"]
    assert (await browser.delete(f"{API}/{ours.id}")).status_code == 403
    await browser.post(PERSONAL)
    assert (await browser.delete(f"{API}/{mine.id}")).status_code == 204


@pytest.mark.usefixtures("mine", "ours")
async def test_removed_member_sees_only_personal_rows(clients: Clients, crew: Crew, database: Database) -> None:
    number = await member_id(database, crew.team, crew.users["member"])
    await clients["owner"].post(f"/teams/{crew.team.id}/members/{number}/remove")
    assert await names(clients["member"]) == ["Mine"]
    assert await names(clients["owner"]) == ["Ours"]


@pytest.mark.usefixtures("mine", "ours")
async def test_program_asks_for_personal_rows(client: AsyncClient, crew: Crew, database: Database) -> None:
    token = f"Bearer {await make_token(database, crew.users['member'])}"
    assert await names(client, Authorization=token) == ["Ours"]
    assert await names(client, **{"Authorization": token, "X-Team": "personal"}) == ["Mine"]


async def test_page_of_teams_asks_to_select_one(clients: Clients) -> None:
    browser = clients["owner"]
    await browser.post(PERSONAL)
    page = await browser.get("/projects")
    assert (page.status_code, page.headers["location"]) == (303, "/teams?next=/projects")
    teams = (await browser.get("/teams?next=/projects")).text
    assert "Select a team to continue." in teams
    assert '<input type="hidden" name="next" value="/projects">' in teams
    refused = await browser.get("/api/v1/projects")
    assert (refused.status_code, "Select a team" in refused.json()["detail"]) == (403, True)
    assert [team["is_current"] for team in (await browser.get("/api/v1/teams")).json()] == [False]
