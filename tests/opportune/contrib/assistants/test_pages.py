"""Pages of assistants: who may list, use and change them."""

from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.contrib.assistants import Assistant, Audience
from opportune.db.database import Database
from opportune.testing.factories import signed_in_client
from opportune.testing.rows import Make
from tests.opportune.contrib.teams.conftest import Clients, Crew

API = "/api/v1/assistants"


async def names(client: AsyncClient) -> list[str]:
    return [row["name"] for row in (await client.get(API)).json()["items"]]


async def create(client: AsyncClient, name: str, shared_with: str = "me") -> str:
    """Create an assistant with the form, and return its path."""
    data = {"name": name, "instructions": "The password is swordfish.", "icon": "ti-book", "tools": "*"}
    response = await client.post("/assistants/new", data={**data, "shared_with": shared_with})
    assert response.status_code == 303, response.text
    return response.headers["location"]


async def test_visitors_must_sign_in(client: AsyncClient) -> None:
    assert (await client.get(API)).status_code == 401
    assert (await client.get("/assistants")).headers["location"].startswith("/accounts/login")


async def test_other_users_do_not_find_an_assistant(clients: Clients) -> None:
    path = await create(clients["member"], "Mine")
    assert await names(clients["member"]) == ["Mine"]
    assert await names(clients["stranger"]) == []
    for page in (path, f"{path}/edit", f"{path}/delete"):
        assert (await clients["stranger"].get(page)).status_code == 404, page


async def test_members_share_assistants_of_their_team(clients: Clients) -> None:
    path = await create(clients["member"], "Ours", "team")
    assert await names(clients["owner"]) == ["Ours"]
    assert await names(clients["stranger"]) == []
    assert "swordfish" in (await clients["owner"].get(f"{path}/edit")).text


async def test_only_staff_share_with_the_site(clients: Clients, staff_client: AsyncClient) -> None:
    data = {"name": "Theirs", "shared_with": "site", "icon": "ti-book"}
    assert (await clients["member"].post("/assistants/new", data=data)).status_code == 422
    await create(staff_client, "Librarian", "site")
    assert await names(clients["stranger"]) == ["Librarian"]


async def test_users_cannot_read_instructions(staff_client: AsyncClient, clients: Clients) -> None:
    path = await create(staff_client, "Librarian", "site")
    assert (await clients["stranger"].get(f"{path}/edit")).status_code == 404
    for page in (path, "/assistants", "/assistants?q=swordfish", API):
        response = await clients["stranger"].get(page)
        assert response.status_code == 200
        assert "The password" not in response.text


async def test_form_refuses_invalid_values(clients: Clients) -> None:
    data = {"name": "", "temperature": "3", "icon": "ti-book"}
    response = await clients["member"].post("/assistants/new", data=data)
    assert response.status_code == 422
    assert 'id="name-error"' in response.text
    assert 'id="temperature-error"' in response.text


async def test_owner_changes_and_deletes(clients: Clients) -> None:
    path = await create(clients["member"], "Mine")
    data = {"name": "Renamed", "icon": "ti-code", "starters": "Why?\nHow?", "tools": ["list_todos"]}
    assert (await clients["member"].post(f"{path}/edit", data=data)).status_code == 303
    (row,) = (await clients["member"].get(API)).json()["items"]
    assert (row["name"], row["icon"], row["starters"]) == ("Renamed", "ti-code", ["Why?", "How?"])
    assert (await clients["member"].post(f"{path}/delete")).status_code == 303
    assert await names(clients["member"]) == []


async def test_assistants_of_a_deleted_team_stay_hidden(clients: Clients, crew: Crew, make: Make) -> None:
    """SQLite may give the id of a deleted team to a new one."""
    old = crew.team.created_at.replace(year=2020)
    await make(Assistant, name="Old", shared_with=Audience.TEAM, team_id=crew.team.id, shared_at=old)
    assert await names(clients["owner"]) == []


async def test_export_has_own_assistants(app: FastAPI, user: User, database: Database, make: Make) -> None:
    await make(Assistant, name="Mine", owner_id=user.id, instructions="Be brief.")
    async with signed_in_client(app, user) as client:
        page = await client.get("/accounts/data")
    assert page.status_code == 200
    assert "Your assistants" in page.text
