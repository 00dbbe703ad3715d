from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.events.service import describe_event
from opportune.accounts.models import AccountEvent, User
from opportune.contrib.teams.models import TeamRole
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD
from tests.opportune.accounts.sent_emails import read_sent_subjects
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import member_id, roles_in

API = "/api/v1/teams"


async def read_events(database: Database, user: User) -> list[tuple[str, str]]:
    query = select(AccountEvent).where(col(AccountEvent.user_id) == user.id, col(AccountEvent.kind).like("team%"))
    async with database.reader() as session:
        rows = await session.scalars(query.order_by(col(AccountEvent.id)))
        return [(describe_event(row), row.address) for row in rows]


async def test_team_is_created_read_renamed_and_deleted(client: AsyncClient, clients: Clients) -> None:
    browser = clients["owner"]
    assert (await client.get(API)).status_code == 401
    for wrong in ({}, {"name": ""}, {"name": "a" * 101}):
        assert (await browser.post(API, json=wrong)).status_code == 422
    created = await browser.post(API, json={"name": "Press"})
    team = created.json()
    address = f"{API}/{team['id']}"
    expected = {"id": team["id"], "name": "Press", "role": "owner", "is_current": True}
    assert (created.status_code, team) == (201, expected)
    assert [row["name"] for row in (await browser.get(API)).json()] == ["Press", "Crew"]
    assert (await browser.patch(address, json={"name": "News"})).json()["name"] == "News"
    for path, method in (("", "GET"), ("", "PATCH"), ("/members", "GET"), ("/invitations", "GET"), ("/switch", "POST")):
        response = await clients["stranger"].request(method, address + path, json={"name": "Mine"})
        assert response.status_code == 404, path
    wrong = {"current_password": "wrong"}
    assert (await browser.request("DELETE", address, json=wrong)).status_code == 422
    assert (await browser.request("DELETE", address, json={"current_password": PASSWORD})).status_code == 204
    assert (await browser.get(address)).status_code == 404


async def test_roles_limit_the_routes(clients: Clients, crew: Crew, database: Database) -> None:
    address = f"{API}/{crew.team.id}"
    numbers = {name: await member_id(database, crew.team, crew.users[name]) for name in TeamRole}
    member, owner = (f"{address}/members/{numbers[role]}" for role in (TeamRole.MEMBER, TeamRole.OWNER))
    listed = (await clients["member"].get(f"{address}/members?q=admin")).json()
    (row,) = listed["items"]
    assert (row["email"], row["role"], row["is_me"]) == ("admin@example.com", "admin", False)
    assert (await clients["member"].patch(address, json={"name": "Mine"})).status_code == 403
    assert (await clients["member"].get(f"{address}/invitations")).status_code == 403
    assert (await clients["admin"].patch(owner, json={"role": "member"})).status_code == 403
    assert (await clients["admin"].request("DELETE", address, json={"current_password": PASSWORD})).status_code == 403
    assert (await clients["admin"].patch(member, json={"role": "captain"})).status_code == 422
    assert (await clients["admin"].patch(member, json={"role": "admin"})).json()["role"] == "admin"
    demotion = await clients["owner"].patch(owner, json={"role": "member"})
    assert (demotion.status_code, "would have no active owner" in demotion.json()["detail"]) == (422, True)
    assert (await clients["owner"].post(f"{address}/leave")).status_code == 422
    assert (await clients["owner"].delete(member)).status_code == 204
    handover = {"email": "admin@example.com", "current_password": PASSWORD}
    assert (await clients["admin"].post(f"{address}/hand-over", json=handover)).status_code == 403
    assert (await clients["owner"].post(f"{address}/hand-over", json=handover)).status_code == 204
    assert (await clients["owner"].post(f"{address}/leave")).status_code == 204
    assert await roles_in(database, crew.team) == {"admin": "owner"}


async def test_invitations_are_sent_listed_accepted_and_declined(app: FastAPI, clients: Clients, crew: Crew) -> None:
    address, own_invitations = f"{API}/{crew.team.id}/invitations", f"{API}/invitations"
    new = {"email": "stranger@example.com", "role": "admin"}
    assert (await clients["member"].post(address, json=new)).status_code == 403
    assert (await clients["admin"].post(address, json=new | {"role": "owner"})).status_code == 403
    assert (await clients["admin"].post(address, json={"email": "nobody"})).status_code == 422
    sent = (await clients["admin"].post(address, json=new)).json()
    assert await read_sent_subjects(app) == [("stranger@example.com", "admin@example.com invites you to Crew")]
    assert "token_hash" not in sent
    assert (await clients["owner"].get(address)).json() == [sent]
    assert (await clients["owner"].get(own_invitations)).json() == []
    (received,) = (await clients["stranger"].get(own_invitations)).json()
    assert (received["id"], received["team"], received["role"]) == (sent["id"], "Crew", "admin")
    assert (await clients["stranger"].delete(f"{own_invitations}/{received['id']}")).status_code == 204
    assert (await clients["stranger"].post(f"{own_invitations}/{received['id']}/accept")).status_code == 404
    new_invitation_id = (await clients["admin"].post(address, json=new)).json()["id"]
    assert (await clients["owner"].post(f"{own_invitations}/{new_invitation_id}/accept")).status_code == 404
    accepted = (await clients["stranger"].post(f"{own_invitations}/{new_invitation_id}/accept")).json()
    assert accepted == {"id": crew.team.id, "name": "Crew", "role": "admin", "is_current": True}
    other_invitation_id = (await clients["admin"].post(address, json={"email": "new@example.com"})).json()["id"]
    assert (await clients["stranger"].delete(f"{address}/{other_invitation_id}")).status_code == 204
    assert (await clients["stranger"].delete(f"{address}/{other_invitation_id}")).status_code == 404


async def test_events_name_changes_of_roles(clients: Clients, crew: Crew, database: Database) -> None:
    number, address = await member_id(database, crew.team, crew.users["member"]), f"{API}/{crew.team.id}"
    await clients["owner"].patch(f"{address}/members/{number}", json={"role": "admin"})
    handover = {"email": "member@example.com", "current_password": PASSWORD}
    await clients["owner"].post(f"{address}/hand-over", json=handover)
    await clients["owner"].post(f"{address}/leave")
    assert await read_events(database, crew.users["member"]) == [
        ("owner@example.com changed your role in the team Crew to admin", ""),
        ("owner@example.com handed the team Crew over to you", ""),
    ]
    assert [text for text, _ in await read_events(database, crew.users["owner"])] == [
        "You handed the team Crew over to member@example.com",
        "You left the team Crew",
    ]
