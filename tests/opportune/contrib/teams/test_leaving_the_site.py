"""Teams when a user deletes the account."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.management import delete_user
from opportune.contrib.teams.models import Team, TeamInvitation
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.project.installed import installed_features
from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.stored_rows import read_all
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import roles_in
from tests.opportune.contrib.teams.test_invitations import invite

REFUSAL = "Crew would have no active owner"


async def team_names(database: Database) -> list[str]:
    return [team.name for team in await read_all(database, Team)]


def deletion_form(email: str) -> dict[str, str]:
    return {"email": email, "current_password": PASSWORD}


async def test_only_owner_hands_over_before_deleting_the_account(
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
    form = {"email": "member@example.com", "current_password": PASSWORD}
    await clients["owner"].post(f"/teams/{crew.team.id}/hand-over", data=form)
    page = await clients["owner"].post("/accounts/data/delete", data=deletion_form(owner.email))
    assert page.headers["location"] == "/accounts/left"
    assert await roles_in(database, crew.team) == {"admin": "admin", "member": "owner"}


async def test_export_holds_teams_and_invitations(app: FastAPI, clients: Clients, crew: Crew) -> None:
    await invite(app, clients["owner"], crew, "stranger@example.com")
    export = (await clients["stranger"].get("/api/v1/users/me/export")).json()["teams"]
    assert [(row["team"], row["role"]) for row in export["teams"]] == [("Others", "owner")]
    assert [row["team"] for row in export["invitations"]] == ["Crew"]
    assert "token" not in str(export)


async def test_team_and_invitations_are_deleted_with_the_only_member(
    app: FastAPI, clients: Clients, crew: Crew, database: Database
) -> None:
    await invite(app, clients["owner"], crew, "stranger@example.com")
    await clients["stranger"].post("/accounts/data/delete", data=deletion_form("stranger@example.com"))
    assert await team_names(database) == ["Crew"]
    assert await read_all(database, TeamInvitation) == []
