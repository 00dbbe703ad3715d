"""Pages of assistants: who may list, use and change them."""

import pytest
from httpx2 import AsyncClient

from opportune.accounts.flows.deletion import read_rows
from opportune.accounts.models import User
from opportune.contrib.assistants import Assistant, Audience, Memory, Prompt
from opportune.contrib.assistants.feature import assistants
from opportune.db.database import Database
from opportune.feature import Person
from opportune.testing import Make, make_user
from tests.opportune.contrib.teams.conftest import Clients, Crew

API = "/api/v1/assistants"


async def create(client: AsyncClient, name: str, shared_with: str = "me") -> str:
    data = {"name": name, "instructions": "The password is swordfish.", "icon": "ti-book", "tools": "*", "text": "Hi."}
    response = await client.post("/assistants/new", data={**data, "shared_with": shared_with})
    assert response.status_code == 303, response.text
    return response.headers["location"]


@pytest.mark.database("sqlite", "postgresql")
async def test_rows_belong_to_user_team_or_site(clients: Clients, superuser_client: AsyncClient) -> None:
    mine = await create(clients["member"], "Mine", "me")
    ours = await create(clients["member"], "Ours", "team")
    public = await create(superuser_client, "Public", "site")
    for name, found, writable in (("owner", [ours, public], [ours]), ("stranger", [public], [])):
        for path in (mine, ours, public):
            assert (await clients[name].get(path)).status_code == (200 if path in found else 404), (name, path)
            for form in ("edit", "delete"):
                status = (await clients[name].get(f"{path}/{form}")).status_code
                assert status == (200 if path in writable else 404), (name, path, form)


async def test_users_cannot_read_instructions(superuser_client: AsyncClient, clients: Clients) -> None:
    path = await create(superuser_client, "Librarian", "site")
    assert (await clients["stranger"].get(f"{path}/edit")).status_code == 404
    for page in (path, "/assistants", "/assistants?q=swordfish", API):
        response = await clients["stranger"].get(page)
        assert response.status_code == 200
        assert "The password" not in response.text


async def test_assistants_of_a_deleted_team_stay_hidden(clients: Clients, crew: Crew, make: Make) -> None:
    """SQLite may give the id of a deleted team to a new one."""
    old = crew.team.created_at.replace(year=2020)
    await make(Assistant, name="Old", shared_with=Audience.TEAM, team_id=crew.team.id, shared_at=old)
    assert (await clients["owner"].get(API)).json()["items"] == []


async def test_export_has_own_rows(user: User, database: Database, make: Make) -> None:
    other = await make_user(database)
    for owner, name in ((user, "Mine"), (other, "Theirs")):
        await make(Assistant, name=name, owner_id=owner.id, instructions="Be brief.")
        await make(Prompt, name=name, owner_id=owner.id, text="Hello.")
        await make(Memory, owner_id=owner.id, text=name)
    assert assistants.accounts.personal_data
    async with database.reader() as session:
        rows = await read_rows(session, assistants.accounts.personal_data, Person(user.id, ""))
    assert [row["instructions"] for row in rows["assistant"]] == ["Be brief."]
    assert [row["name"] for row in rows["prompt"]] == ["Mine"]
    assert [row["text"] for row in rows["memory"]] == ["Mine"]


async def test_form_refuses_invalid_values(clients: Clients) -> None:
    invalid = {"name": "", "temperature": "3", "icon": 'x" onclick="', "tools": "drop_tables", "model": "Gone"}
    for field, value in invalid.items():
        response = await clients["member"].post("/assistants/new", data={"name": "x", "icon": "ti-book", field: value})
        assert response.status_code == 422, field
        assert f'id="{field}-error"' in response.text


async def test_form_keeps_a_removed_model(clients: Clients, make: Make, crew: Crew) -> None:
    row = await make(Assistant, name="Old", owner_id=crew.users["member"].id, model="Gone", tools=["gone"])
    assert (await clients["member"].get(f"/assistants/{row.id}/edit")).text.count("(no longer available)") == 2
    data = {"name": "New", "icon": "ti-book", "model": "Gone", "tools": "gone"}
    assert (await clients["member"].post(f"/assistants/{row.id}/edit", data=data)).status_code == 303
