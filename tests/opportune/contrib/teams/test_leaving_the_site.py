"""Teams that are deleted, also in batches, and teams of a user who deletes the account."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.accounts.management import delete_user
from opportune.accounts.reauthentication import require_password
from opportune.contrib.teams import Team, memberships
from opportune.contrib.teams.models import TeamInvitation
from opportune.db.database import Database
from opportune.db.queries import batches
from opportune.errors import OperatorError
from opportune.project.installed import installed_features
from opportune.testing.factories import PASSWORD
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import roles_in
from tests.opportune.contrib.teams.test_invitations import invite
from tests.opportune.stored_rows import read_all

REFUSAL = "Crew would have no active owner"


def deletion_form(email: str) -> dict[str, str]:
    return {"email": email, "current_password": PASSWORD}


async def test_account_of_the_only_owner_is_not_deleted(
    clients: Clients, crew: Crew, superuser_client: AsyncClient, database: Database
) -> None:
    owner = crew.users["owner"]
    page = await clients["owner"].post("/accounts/data/delete", data=deletion_form(owner.email))
    assert (page.status_code, REFUSAL in page.text) == (422, True)
    response = await clients["owner"].request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
    assert (response.status_code, REFUSAL in response.text) == (409, True)
    async with database.writer() as session:
        with pytest.raises(OperatorError, match=REFUSAL):
            await delete_user(session, database, installed_features(), owner.email)
    data = {"pks": str(owner.id), "confirmed": "yes"}
    page = await superuser_client.post("/admin/user/delete", data=data, follow_redirects=True)
    assert f"Nothing was deleted. {REFUSAL}" in page.text


async def test_account_is_deleted_after_handing_over(clients: Clients, crew: Crew, database: Database) -> None:
    form = {"email": "member@example.com", "current_password": PASSWORD}
    await clients["owner"].post(f"/teams/{crew.team.id}/hand-over", data=form)
    page = await clients["owner"].post("/accounts/data/delete", data=deletion_form(crew.users["owner"].email))
    assert page.headers["location"] == "/accounts/left"
    assert await roles_in(database, crew.team) == {"admin": "admin", "member": "owner"}


async def test_export_holds_teams_and_invitations(app: FastAPI, clients: Clients, crew: Crew) -> None:
    await invite(app, clients["owner"], crew, "stranger@example.com")
    export = (await clients["stranger"].get("/api/v1/users/me/export")).json()["teams"]
    assert [(row["team"], row["role"]) for row in export["teams"]] == [("Others", "owner")]
    assert [row["team"] for row in export["invitations"]] == ["Crew"]
    assert "token" not in str(export)


async def test_team_ends_with_its_only_member(app: FastAPI, clients: Clients, crew: Crew, database: Database) -> None:
    await invite(app, clients["owner"], crew, "stranger@example.com")
    await clients["stranger"].post("/accounts/data/delete", data=deletion_form("stranger@example.com"))
    assert [team.name for team in await read_all(database, Team)] == ["Crew"]
    assert await read_all(database, TeamInvitation) == []


async def delete_team(owner: AsyncClient, team: Team) -> Response:
    return await owner.request("DELETE", f"/api/v1/teams/{team.id}", json={"current_password": PASSWORD})


async def test_former_owner_deletes_nothing(
    clients: Clients, crew: Crew, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hand_over_meanwhile(*args: Any) -> None:
        await require_password(*args)
        async with database.writer() as session:
            await memberships.hand_over(session, crew.team.id, crew.users["owner"], "admin@example.com")

    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", 0)
    monkeypatch.setattr("opportune.contrib.teams.api.require_password", hand_over_meanwhile)
    assert (await delete_team(clients["owner"], crew.team)).status_code == 403
    assert await roles_in(database, crew.team) == {"owner": "admin", "admin": "owner", "member": "member"}


async def test_team_is_deleted_in_batches(
    clients: Clients, crew: Crew, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_CASCADED_ROWS", 0)
    assert (await delete_team(clients["owner"], crew.team)).status_code == 204
    assert await read_all(database, Team, id=crew.team.id) == []
