"""Forms that were opened in one team and sent in another: no row for the other team, and no lost text."""

import re
from html import unescape

import pytest
from httpx2 import AsyncClient, Response

from opportune.contrib.teams.models import TeamRole
from opportune.contrib.teams.testing import make_team
from opportune.db.database import Database
from opportune.testing.rows import Make
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.projects import Note, app, database

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
MARK = re.compile(r'name="form_user" value="([^"]*)"')
TEXT = "Buy “milk” & <bread>"
PERSONAL = "/teams/personal/switch"


__all__ = ["app", "database"]  # fixtures: a site with the projects feature


@pytest.fixture
async def browser(clients: Clients) -> AsyncClient:
    return clients["member"]


async def open_mark(browser: AsyncClient, page: str) -> str:
    marks: list[str] = MARK.findall((await browser.get(page)).text)
    return marks[-1]


async def send(browser: AsyncClient, page: str, path: str, mark: str, **headers: str) -> Response:
    sent = {"form_user": mark, "name": TEXT}
    return await browser.post(path, data=sent, headers={"Referer": f"{browser.base_url}{page}", **headers})


async def stored_names(browser: AsyncClient) -> list[str]:
    return [row["name"] for row in (await browser.get("/api/v1/notes")).json()["items"]]


@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_form_is_not_stored_in_another_team(
    browser: AsyncClient, crew: Crew, database: Database, headers: dict[str, str]
) -> None:
    mark = await open_mark(browser, "/notes/new")
    second = await make_team(database, None, {TeamRole.MEMBER: crew.users["member"]}, "Reds & <Blues>")
    refused = await send(browser, "/notes/new", "/notes/new", mark, **headers)
    assert refused.status_code == (409 if headers else 303)
    assert await stored_names(browser) == []
    page = unescape((await browser.get(refused.headers.get("location") or refused.headers["HX-Redirect"])).text)
    assert f"You are in “{second.name}” now. This form was opened in another team, so nothing was saved." in page
    assert f'value="{TEXT}"' in page
    await send(browser, "/notes/new", "/notes/new", MARK.findall(page)[-1])
    assert await stored_names(browser) == [TEXT]


async def test_button_of_another_team_changes_nothing(browser: AsyncClient, make: Make, crew: Crew) -> None:
    mine = await make(Note, user_id=crew.users["member"].id, name="Mine")
    mark = await open_mark(browser, "/notes")
    await browser.post(PERSONAL)
    headers = {"Referer": f"{browser.base_url}/notes"}
    refused = await browser.post(f"/notes/{mine.id}/delete", data={"form_user": mark}, headers=headers)
    page = unescape((await browser.get(refused.headers["location"])).text)
    assert "You are in “Personal” now." in page
    assert await stored_names(browser) == ["Mine"]


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
    next_page = unescape(teams.text.split('name="next" value="/projects')[1].split('"')[0])
    assert "kept_form=" in next_page
