import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select, update
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.teams import invitations, service
from opportune.contrib.teams.cleanup import delete_expired
from opportune.contrib.teams.models import TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.service import read_teams
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.accounts.sent_emails import ACCOUNTS, newest_link, sent_emails
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.members import member_id, roles_in

pytestmark = pytest.mark.database("sqlite")

Clients = Mapping[str, AsyncClient]
ADDRESS = "new@example.com"


async def invite(app: FastAPI, browser: AsyncClient, crew: Crew, email: str = ADDRESS, role: str = "member") -> str:
    """The path of the link that is sent."""
    answer = await browser.post(f"/teams/{crew.team.id}/invitations", data={"email": email, "role": role})
    assert answer.status_code == 303, answer.text
    body = (await sent_emails(app))[-1].get_body(("plain",))
    found = re.search(r"https?://[^/\s]+(/teams/invitation\?token=\S+)", body.get_content() if body else "")
    assert found
    return found[1]


async def stored(database: Database) -> list[TeamInvitation]:
    async with database.reader() as session:
        return list(await session.scalars(select(TeamInvitation)))


async def the_id(database: Database) -> int:
    (invitation,) = await stored(database)
    return invitation.id


async def test_whoever_registers_with_the_address_accepts_and_is_in_the_team(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    link = await invite(app, clients["admin"], crew, "New@Example.com", "admin")
    page = await client.get(link)
    assert page.headers["referrer-policy"] == "same-origin"
    assert "Invitation to Crew" in page.text
    for path in ("login", "register"):
        assert re.search(rf'href="/accounts/{path}\?next=/teams/invitation%3Ftoken%3D', page.text)

    await client.post(f"{ACCOUNTS}/register", data={"email": ADDRESS, "password": PASSWORD})
    path, token = await newest_link(app)
    await client.post(path, data={"token": token, "password": PASSWORD})
    await client.post(f"{ACCOUNTS}/login", data={"email": ADDRESS, "password": PASSWORD, "next": link})
    assert '1<span class="visually-hidden"> open invitations' in (await client.get("/teams")).text
    assert "Accept" in (await client.get(link)).text
    assert "new" not in await roles_in(database, crew.team)  # to look at it was nothing

    answer = await client.post(f"/teams/invitations/{await the_id(database)}/accept")

    assert answer.headers["location"] == f"/teams/{crew.team.id}"
    assert (await roles_in(database, crew.team))["new"] == "admin"
    assert await stored(database) == []
    assert (await client.get(link)).status_code == 410


async def test_whoever_is_in_too_many_teams_is_told_so_and_keeps_the_invitation(
    app: FastAPI, clients: Clients, crew: Crew, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_TEAMS_PER_USER", 0)
    await invite(app, clients["owner"], crew)
    async with signed_in_client(app, await make_user(database, ADDRESS, is_verified=True)) as browser:
        answer = await browser.post(f"/teams/invitations/{await the_id(database)}/accept")
        assert "leave one first" in (await browser.get(answer.headers["location"])).text
        assert (await browser.post(f"/api/v1/teams/invitations/{await the_id(database)}/accept")).status_code == 422
    assert "new" not in await roles_in(database, crew.team)


async def test_a_forwarded_invitation_is_refused_in_words_to_another_address(
    app: FastAPI, clients: Clients, crew: Crew, database: Database
) -> None:
    link = await invite(app, clients["owner"], crew)
    for path in ("accept", "decline"):
        address = f"/teams/invitations/{await the_id(database)}/{path}"
        assert (await clients["stranger"].post(address)).status_code == 404
    page = await clients["stranger"].get(link)
    assert (page.status_code, "is for another address" in page.text) == (403, True)

    async with signed_in_client(app, unproved := await make_user(database, ADDRESS)) as browser:
        page = await browser.get(link)
        assert (page.status_code, "Show first that this address is yours" in page.text) == (403, True)
        assert (await browser.post(f"/teams/invitations/{await the_id(database)}/accept")).status_code == 404
        async with database.writer() as session:
            await session.execute(update(User).where(User.id == unproved.id).values(is_verified=True))  # type: ignore[arg-type]  # a column
        assert (await browser.get(link)).status_code == 200
        assert (await browser.post(f"/teams/invitations/{await the_id(database)}/accept")).status_code == 303
    assert (await roles_in(database, crew.team))["new"] == "member"


async def test_an_invitation_that_is_over_withdrawn_declined_or_sent_anew_opens_nothing(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    assert (await client.get("/teams/invitation")).status_code == 410
    assert (await client.get("/teams/invitation?token=%00made-up")).status_code == 410
    first = await invite(app, clients["owner"], crew)
    again = await invite(app, clients["owner"], crew)
    assert [(await client.get(link)).status_code for link in (first, again)] == [410, 200]

    path = f"/teams/{crew.team.id}/invitations"
    assert ADDRESS in (await clients["admin"].get(path)).text
    foreign = f"/teams/{crew.foreign.id}/invitations/{await the_id(database)}/withdraw"
    assert (await clients["stranger"].post(foreign)).status_code == 404
    await clients["admin"].post(f"{path}/{await the_id(database)}/withdraw")
    assert (await client.get(again)).status_code == 410

    link = await invite(app, clients["owner"], crew, "stranger@example.com")
    await clients["stranger"].post(f"/teams/invitations/{await the_id(database)}/decline")
    assert (await client.get(link)).status_code == 410

    link = await invite(app, clients["owner"], crew, "stranger@example.com")
    async with database.writer() as session:
        await session.execute(update(TeamInvitation).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert (await client.get(link)).status_code == 410
    number = await the_id(database)
    assert (await clients["stranger"].post(f"/teams/invitations/{number}/accept")).status_code == 404
    assert await delete_expired(database) == 1
    assert await stored(database) == []


async def test_what_cannot_be_an_invitation_is_refused_and_they_are_counted_by_person_team_and_address(
    clients: Clients, crew: Crew, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/teams/{crew.team.id}/invitations"
    for sent, words in (
        ({}, "Please fill this in."),
        ({"email": "nobody"}, "e-mail"),
        ({"email": "Member@example.com"}, "They are a member already."),
        ({"email": ADDRESS, "role": "captain"}, "one of the options"),
        ({"email": ADDRESS, "role": "owner"}, ""),
    ):
        answer = await clients["admin"].post(path, data=sent)
        assert answer.status_code == (403 if sent.get("role") == "owner" else 422), sent
        assert words in answer.text
    assert await stored(database) == []

    path = f"/teams/{crew.team.id}/invitations"

    async def answers(count: int) -> list[int]:
        sent = [{"email": f"person{number}@example.com"} for number in range(count)]
        return [(await clients["owner"].post(path, data=each)).status_code for each in sent]

    monkeypatch.setattr(invitations, "MAX_OPEN_INVITATIONS", 2)
    assert await answers(3) == [303, 303, 422]
    monkeypatch.setattr(invitations.INVITATIONS_PER_USER, "limit", 4)
    answer = [await clients["owner"].post(path, data={"email": ADDRESS}) for _ in range(2)][-1]
    assert (answer.status_code, "That was too often" in answer.text) == (429, True)
    assert "Retry-After" in answer.headers


async def test_an_invitation_is_worthless_while_its_inviter_could_not_send_it(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    link = await invite(app, clients["admin"], crew, "stranger@example.com")
    number, stranger, inviter = await the_id(database), clients["stranger"], crew.people["admin"]
    member = f"/api/v1/teams/{crew.team.id}/members/{await member_id(database, crew.team, inviter)}"

    async def is_refused() -> bool:
        page = await client.get(link)
        refused = await stranger.post(f"/teams/invitations/{number}/accept")
        assert (page.status_code, refused.status_code) in ((200, 303), (410, 404))
        assert ("may not invite you any more" in page.text) == ("may not invite you any more" in refused.text)
        return page.status_code == 410

    await clients["owner"].patch(member, json={"role": "member"})
    assert await is_refused()
    assert (await stranger.post(f"/api/v1/teams/invitations/{number}/accept")).status_code == 404
    assert (await stranger.get("/api/v1/teams/invitations")).json() == []
    assert (await clients["owner"].get(f"/api/v1/teams/{crew.team.id}/invitations")).json() == []
    assert "open invitations" not in (await stranger.get("/teams/switcher")).text
    async with database.reader(fresh=True) as session:
        assert (await read_teams(session, crew.people["stranger"])).invitation_count == 0

    await clients["owner"].patch(member, json={"role": "admin"})
    for is_active in (False, True):
        async with database.writer() as session:
            await session.execute(update(User).where(col(User.id) == inviter.id).values(is_active=is_active))
        if not is_active:
            assert await is_refused()

    await clients["owner"].delete(member)
    assert await is_refused()
    async with database.writer() as session:
        session.add(TeamMember(team_id=crew.team.id, user_id=inviter.id, role=TeamRole.ADMIN))
    assert (await client.get(link)).status_code == 200, "who is back may invite as before"

    await clients["admin"].request("DELETE", "/api/v1/users/me", json={"current_password": PASSWORD})
    assert await is_refused()
    assert "stranger" not in await roles_in(database, crew.team)


async def test_who_has_handed_over_gives_up_to_what_they_are_now_by_invitations_too(
    app: FastAPI, clients: Clients, crew: Crew, database: Database
) -> None:
    await invite(app, clients["owner"], crew, "second@example.com", "owner")
    await invite(app, clients["owner"], crew, "stranger@example.com", "admin")
    owners, admins = [each.id for each in await stored(database)]
    sent = {"email": "admin@example.com", "current_password": PASSWORD}
    assert (await clients["owner"].post(f"/api/v1/teams/{crew.team.id}/hand-over", json=sent)).status_code == 204

    async with signed_in_client(app, await make_user(database, "second@example.com", is_verified=True)) as second:
        assert (await second.post(f"/teams/invitations/{owners}/accept")).status_code == 404
    assert (await clients["stranger"].post(f"/teams/invitations/{admins}/accept")).status_code == 303
    roles = await roles_in(database, crew.team)
    assert roles == {"owner": "admin", "admin": "owner", "member": "member", "stranger": "admin"}
