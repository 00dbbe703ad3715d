"""What becomes of teams when a person goes."""

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.management import delete_user
from opportune.accounts.models import User
from opportune.config.project import installed_features
from opportune.contrib.teams import demo
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.testing.factories import PASSWORD
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.members import roles_in
from tests.opportune.contrib.teams.test_invitations import Clients, invite

pytestmark = pytest.mark.database("sqlite")

NEEDED = "Crew would have no active owner"


async def names(database: Database) -> list[str]:
    async with database.reader() as session:
        return [team.name for team in await session.scalars(select(Team).order_by(col(Team.name)))]


def leaving(email: str) -> dict[str, str]:
    return {"email": email, "current_password": PASSWORD}


async def test_the_only_owner_of_others_stays_until_they_hand_over(
    clients: Clients, crew: Crew, superuser_client: AsyncClient, database: Database
) -> None:
    owner = crew.people["owner"]
    page = await clients["owner"].post("/accounts/data/delete", data=leaving(owner.email))
    assert (page.status_code, NEEDED in page.text) == (422, True)
    answer = await clients["owner"].request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
    assert (answer.status_code, NEEDED in answer.text) == (409, True)
    async with database.writer() as session:
        with pytest.raises(OperatorError, match=NEEDED):
            await delete_user(session, database, installed_features(), owner.email)
    data = {"pks": str(owner.id), "confirmed": "yes"}
    page = await superuser_client.post("/admin/user/delete", data=data, follow_redirects=True)
    assert f"Nothing was deleted. {NEEDED}" in page.text

    sent = {"email": "member@example.com", "current_password": PASSWORD}
    await clients["owner"].post(f"/teams/{crew.team.id}/hand-over", data=sent)
    page = await clients["owner"].post("/accounts/data/delete", data=leaving(owner.email))

    assert page.headers["location"] == "/accounts/left"
    assert await roles_in(database, crew.team) == {"admin": "admin", "member": "owner"}


async def test_a_team_that_nobody_else_is_in_goes_with_its_owner_and_invitations_of_theirs_end(
    app: FastAPI, clients: Clients, crew: Crew, database: Database
) -> None:
    await invite(app, clients["owner"], crew, "stranger@example.com")
    export = (await clients["stranger"].get("/api/v1/users/me/export")).json()["teams"]
    assert [(row["team"], row["role"]) for row in export["teams"]] == [("Others", "owner")]
    assert [row["team"] for row in export["invitations"]] == ["Crew"]
    assert "token" not in str(export)

    await clients["stranger"].post("/accounts/data/delete", data=leaving("stranger@example.com"))

    assert await names(database) == ["Crew"]
    async with database.reader() as session:
        assert (await session.scalars(select(TeamInvitation))).all() == []


async def test_a_demo_team_comes_once_and_goes_again(superuser: User, crew: Crew, database: Database) -> None:
    async with database.writer() as session:
        assert await demo.load(session) == 1
        assert await demo.load(session) == 0
    async with database.writer() as session:
        assert (
            await session.scalar(select(col(TeamMember.role)).where(col(TeamMember.user_id) == superuser.id)) == "owner"
        )
        assert await demo.clear(session) == 1
    assert await names(database) == ["Crew", "Others"]
