from collections.abc import Mapping

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.events.service import event_words
from opportune.accounts.models import AccountEvent, User
from opportune.contrib.teams.models import TeamRole
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.sent_emails import sent_subjects
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.members import member_id, roles_in

pytestmark = pytest.mark.database("sqlite")

Clients = Mapping[str, AsyncClient]
API = "/api/v1/teams"


async def events_of(database: Database, user: User) -> list[tuple[str, str]]:
    """What their page of events tells of teams, and from where it was done."""
    query = select(AccountEvent).where(col(AccountEvent.user_id) == user.id, col(AccountEvent.kind).like("team%"))
    async with database.reader() as session:
        rows = await session.scalars(query.order_by(col(AccountEvent.id)))
        return [(event_words(row), row.address) for row in rows]


async def test_a_team_is_made_read_renamed_and_deleted(client: AsyncClient, clients: Clients) -> None:
    browser = clients["owner"]
    assert (await client.get(API)).status_code == 401
    for wrong in ({}, {"name": ""}, {"name": "a" * 101}):
        assert (await browser.post(API, json=wrong)).status_code == 422
    made = await browser.post(API, json={"name": "Press"})
    team = made.json()
    address = f"{API}/{team['id']}"
    assert (made.status_code, team) == (201, {"id": team["id"], "name": "Press", "role": "owner", "is_current": True})
    assert [each["name"] for each in (await browser.get(API)).json()] == ["Press", "Crew"]
    assert (await browser.patch(address, json={"name": "News"})).json()["name"] == "News"
    for path, method in (("", "GET"), ("", "PATCH"), ("/members", "GET"), ("/invitations", "GET"), ("/switch", "POST")):
        answer = await clients["stranger"].request(method, address + path, json={"name": "Mine"})
        assert answer.status_code == 404, path
    wrong = {"current_password": "wrong"}
    assert (await browser.request("DELETE", address, json=wrong)).status_code == 422
    assert (await browser.request("DELETE", address, json={"current_password": PASSWORD})).status_code == 204
    assert (await browser.get(address)).status_code == 404


async def test_roles_are_asked_as_on_the_pages(clients: Clients, crew: Crew, database: Database) -> None:
    address = f"{API}/{crew.team.id}"
    numbers = {name: await member_id(database, crew.team, crew.people[name]) for name in TeamRole}
    member, owner = (f"{address}/members/{numbers[role]}" for role in (TeamRole.MEMBER, TeamRole.OWNER))
    listed = (await clients["member"].get(f"{address}/members?q=admin")).json()
    assert [(row["email"], row["role"], row["is_me"]) for row in listed["items"]] == [
        ("admin@example.com", "admin", False)
    ]
    assert (await clients["member"].patch(address, json={"name": "Mine"})).status_code == 403
    assert (await clients["member"].get(f"{address}/invitations")).status_code == 403
    assert (await clients["admin"].patch(owner, json={"role": "member"})).status_code == 403
    assert (await clients["admin"].request("DELETE", address, json={"current_password": PASSWORD})).status_code == 403
    assert (await clients["admin"].patch(member, json={"role": "captain"})).status_code == 422
    assert (await clients["admin"].patch(member, json={"role": "admin"})).json()["role"] == "admin"
    only = await clients["owner"].patch(owner, json={"role": "member"})
    assert (only.status_code, "would have no active owner" in only.json()["detail"]) == (422, True)
    assert (await clients["owner"].post(f"{address}/leave")).status_code == 422
    assert (await clients["owner"].delete(member)).status_code == 204
    handed = {"email": "admin@example.com", "current_password": PASSWORD}
    assert (await clients["admin"].post(f"{address}/hand-over", json=handed)).status_code == 403
    assert (await clients["owner"].post(f"{address}/hand-over", json=handed)).status_code == 204
    assert (await clients["owner"].post(f"{address}/leave")).status_code == 204
    assert await roles_in(database, crew.team) == {"admin": "owner"}


async def test_invitations_are_sent_listed_accepted_and_declined(
    app: FastAPI, clients: Clients, crew: Crew, database: Database
) -> None:
    address, mine = f"{API}/{crew.team.id}/invitations", f"{API}/invitations"
    new = {"email": "stranger@example.com", "role": "admin"}
    assert (await clients["member"].post(address, json=new)).status_code == 403
    assert (await clients["admin"].post(address, json=new | {"role": "owner"})).status_code == 403
    assert (await clients["admin"].post(address, json={"email": "nobody"})).status_code == 422
    sent = (await clients["admin"].post(address, json=new)).json()
    assert await sent_subjects(app) == [("stranger@example.com", "admin@example.com invites you to Crew")]
    assert "token_hash" not in sent
    assert (await clients["owner"].get(address)).json() == [sent]
    assert (await clients["owner"].get(mine)).json() == []
    (own,) = (await clients["stranger"].get(mine)).json()
    assert (own["id"], own["team"], own["role"]) == (sent["id"], "Crew", "admin")

    assert (await clients["stranger"].delete(f"{mine}/{own['id']}")).status_code == 204
    assert (await clients["stranger"].post(f"{mine}/{own['id']}/accept")).status_code == 404
    again = (await clients["admin"].post(address, json=new)).json()["id"]
    assert (await clients["owner"].post(f"{mine}/{again}/accept")).status_code == 404
    accepted = (await clients["stranger"].post(f"{mine}/{again}/accept")).json()
    assert accepted == {"id": crew.team.id, "name": "Crew", "role": "admin", "is_current": True}
    third = (await clients["admin"].post(address, json={"email": "new@example.com"})).json()["id"]
    assert (await clients["stranger"].delete(f"{address}/{third}")).status_code == 204
    assert (await clients["stranger"].delete(f"{address}/{third}")).status_code == 404


async def test_what_happens_to_somebody_is_on_their_page_of_events(
    clients: Clients, crew: Crew, database: Database
) -> None:
    number, address = await member_id(database, crew.team, crew.people["member"]), f"{API}/{crew.team.id}"
    await clients["owner"].patch(f"{address}/members/{number}", json={"role": "admin"})
    handed = {"email": "member@example.com", "current_password": PASSWORD}
    await clients["owner"].post(f"{address}/hand-over", json=handed)
    await clients["owner"].post(f"{address}/leave")

    assert await events_of(database, crew.people["member"]) == [
        ("owner@example.com made you admin of the team Crew", ""),
        ("owner@example.com handed the team Crew over to you", ""),
    ]
    assert [words for words, _ in await events_of(database, crew.people["owner"])] == [
        "You handed the team Crew over to member@example.com",
        "You left the team Crew",
    ]
