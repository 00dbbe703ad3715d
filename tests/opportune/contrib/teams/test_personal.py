"""Rows of the current team, or of the user while no team is selected, and forms that were opened in another team."""

import re
from html import unescape

import pytest
from httpx2 import AsyncClient, Response

from opportune.contrib.teams.models import TeamRole
from opportune.db.database import Database
from opportune.testing import Make, make_team, make_token
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import member_id
from tests.opportune.contrib.teams.projects import Note, app
from tests.opportune.site_with import database

__all__ = ["app", "database"]  # fixtures

API, PERSONAL = "/api/v1/notes", "/teams/personal/switch"


@pytest.fixture
async def browser(clients: Clients) -> AsyncClient:
    return clients["member"]


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


async def test_rows_of_the_other_scope_are_not_found(browser: AsyncClient, mine: Note, ours: Note) -> None:
    assert (await browser.get(f"/notes/{mine.id}")).status_code == 404
    await browser.post(PERSONAL)
    for method in ("GET", "PATCH", "DELETE"):
        assert (await browser.request(method, f"{API}/{ours.id}", json={})).status_code == 404, method


async def test_team_roles_apply_to_rows_of_the_team(browser: AsyncClient, mine: Note, ours: Note) -> None:
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
    assert (page.status_code, page.headers["location"]) == (303, "/teams?next=%2Fprojects")
    teams = (await browser.get("/teams?next=/projects")).text
    assert "Select a team to continue." in teams
    assert '<input type="hidden" name="next" value="/projects">' in teams
    refused = await browser.get("/api/v1/projects")
    assert (refused.status_code, "Select a team" in refused.json()["detail"]) == (403, True)
    assert [team["is_current"] for team in (await browser.get("/api/v1/teams")).json()] == [False]


HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
MARK = re.compile(r'name="form_user" value="([^"]*)"')
TEXT = "Buy “milk” & <bread>"


async def open_mark(browser: AsyncClient, page: str) -> str:
    marks: list[str] = MARK.findall((await browser.get(page)).text)
    return marks[-1]


async def send(browser: AsyncClient, page: str, path: str, mark: str, **headers: str) -> Response:
    sent = {"form_user": mark, "name": TEXT}
    return await browser.post(path, data=sent, headers={"Referer": f"{browser.base_url}{page}", **headers})


@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_form_is_not_stored_in_another_team(
    browser: AsyncClient, crew: Crew, database: Database, headers: dict[str, str]
) -> None:
    mark = await open_mark(browser, "/notes/new")
    second = await make_team(database, None, {TeamRole.MEMBER: crew.users["member"]}, "Reds & <Blues>")
    refused = await send(browser, "/notes/new", "/notes/new", mark, **headers)
    assert refused.status_code == (409 if headers else 303)
    assert await names(browser) == []
    page = unescape((await browser.get(refused.headers.get("location") or refused.headers["HX-Redirect"])).text)
    assert f"You are in “{second.name}” now. This form was opened in another team, so nothing was saved." in page
    assert f'value="{TEXT}"' in page
    await send(browser, "/notes/new", "/notes/new", MARK.findall(page)[-1])
    assert await names(browser) == [TEXT]


async def test_button_of_another_team_changes_nothing(browser: AsyncClient, make: Make, crew: Crew) -> None:
    mine = await make(Note, user_id=crew.users["member"].id, name="Mine")
    mark = await open_mark(browser, "/notes")
    await browser.post(PERSONAL)
    headers = {"Referer": f"{browser.base_url}/notes"}
    refused = await browser.post(f"/notes/{mine.id}/delete", data={"form_user": mark}, headers=headers)
    assert "You are in “Personal” now." in unescape((await browser.get(refused.headers["location"])).text)
    assert await names(browser) == ["Mine"]


async def test_text_for_a_row_of_another_team_is_shown(browser: AsyncClient, make: Make, crew: Crew) -> None:
    ours = await make(Note, team_id=crew.team.id, name="Ours")
    path = f"/notes/{ours.id}/edit"
    mark = await open_mark(browser, path)
    await browser.post(PERSONAL)
    page = await browser.get((await send(browser, path, path, mark)).headers["location"])
    assert page.status_code == 404
    assert f'readonly aria-label="Your text">\n{TEXT}</textarea>' in unescape(page.text)


async def test_text_is_kept_until_a_team_is_selected(browser: AsyncClient) -> None:
    mark = await open_mark(browser, "/projects/new")
    await browser.post(PERSONAL)
    refused = await send(browser, "/projects/new", "/projects/new", mark)
    teams = await browser.get((await browser.get(refused.headers["location"])).headers["location"])
    assert "kept_form=" in unescape(teams.text.split('name="next" value="/projects')[1].split('"')[0])
