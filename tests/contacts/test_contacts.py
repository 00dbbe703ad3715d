from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from app.contacts.demo import SAMPLES, clear, load
from app.contacts.models import Contact
from opportune.accounts import User
from opportune.contrib.teams import Team
from opportune.db import Database
from opportune.testing import Make, make_team, make_user

PAGES, API = "/contacts", "/api/v1/contacts"
INVALID_DATA: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "two\nlines"},
    {"name": "a" * 101},
    {"email": "invalid"},
    {"phone": "invalid"},
    {"notes": "a" * 2001},
]


@pytest.fixture(autouse=True)
async def team(database: Database, user: User) -> Team:
    return await make_team(database, user)


@pytest.fixture
def valid_data() -> dict[str, Any]:
    return {"name": "A name", "email": "email@example.com", "phone": "+431711000", "notes": "Some words"}


@pytest.fixture
async def row_url(user_client: AsyncClient, valid_data: dict[str, Any]) -> str:
    added = await user_client.post(API, json=valid_data)
    return f"{API}/{added.json()['id']}"


@pytest.fixture
async def page_url(user_client: AsyncClient, valid_data: dict[str, Any]) -> str:
    added = await user_client.post(f"{PAGES}/new", data=valid_data)
    return added.headers["location"]


async def test_anonymous_users_must_sign_in(client: AsyncClient) -> None:
    for path in ("", "/new", "/1", "/1/edit", "/1/delete"):
        assert (await client.get(f"{PAGES}{path}")).headers["location"].startswith("/accounts/login?next=")
    for method, path in [("GET", ""), ("POST", ""), ("GET", "/1"), ("PATCH", "/1"), ("DELETE", "/1")]:
        assert (await client.request(method, f"{API}{path}", json={})).status_code == 401


@pytest.mark.database("sqlite", "postgresql")
async def test_rows_of_other_owners_are_not_found(user_client: AsyncClient, team: Team, make: Make) -> None:
    own_row = await make(Contact, team_id=team.id)
    other_row = await make(Contact)
    assert [row["id"] for row in (await user_client.get(API)).json()["items"]] == [own_row.id]
    for path in ("", "/edit", "/delete"):
        assert (await user_client.get(f"{PAGES}/{own_row.id}{path}")).status_code == 200
        assert (await user_client.get(f"{PAGES}/{other_row.id}{path}")).status_code == 404
    for method in ("GET", "PATCH", "DELETE"):
        assert (await user_client.request(method, f"{API}/{other_row.id}", json={})).status_code == 404


@pytest.mark.database("sqlite", "postgresql")
async def test_api_adds_a_row(user_client: AsyncClient, valid_data: dict[str, Any]) -> None:
    added = await user_client.post(API, json=valid_data)
    stored = await user_client.get(f"{API}/{added.json()['id']}")
    assert (added.status_code, stored.json()) == (201, added.json())


async def test_api_deletes_a_row(user_client: AsyncClient, row_url: str) -> None:
    assert (await user_client.delete(row_url)).status_code == 204
    assert (await user_client.get(row_url)).status_code == 404


async def test_invalid_values_are_refused(user_client: AsyncClient, valid_data: dict[str, Any]) -> None:
    for invalid in INVALID_DATA:
        assert (await user_client.post(API, json=valid_data | invalid)).status_code == 422, invalid
        assert (await user_client.post(f"{PAGES}/new", data=valid_data | invalid)).status_code == 422, invalid
    assert (await user_client.get(API)).json()["total"] == 0


async def test_page_deletes_a_row(user_client: AsyncClient, page_url: str) -> None:
    assert (await user_client.get(f"{page_url}/delete")).status_code == 200
    deleted = await user_client.post(f"{page_url}/delete")
    assert deleted.headers["location"] == PAGES
    assert (await user_client.get(page_url)).status_code == 404


async def test_start_page_shows_contacts_of_team(user_client: AsyncClient, client: AsyncClient, row_url: str) -> None:
    page = (await user_client.get("/")).text
    assert f'href="{PAGES}/{row_url.rpartition("/")[2]}">A name</a>' in page
    assert f'href="{PAGES}/new"' in page
    assert "A name" not in (await client.get("/")).text


async def test_demo_is_added_once_and_removed_alone(database: Database, make: Make) -> None:
    team = await make_team(database, await make_user(database, is_superuser=True))
    other = await make(Contact, team_id=team.id)
    async with database.writer() as session:
        assert [await load(session), await load(session)] == [len(SAMPLES), 0]
        assert set(await session.scalars(select(col(Contact.team_id)))) == {team.id}
        assert await clear(session) == len(SAMPLES)
        assert list(await session.scalars(select(col(Contact.id)))) == [other.id]
