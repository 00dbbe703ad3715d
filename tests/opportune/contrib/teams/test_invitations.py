import re
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.teams import invitations
from opportune.contrib.teams.feature import teams
from opportune.contrib.teams.models import TeamInvitation, TeamRole
from opportune.contrib.teams.user_teams import read_teams
from opportune.db import Database, utc_now
from opportune.jobs.cleanup import clean_up
from opportune.testing.factories import PASSWORD, make_user, signed_in_client
from tests.opportune.accounts.sent_emails import read_newest_link, read_sent_emails
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import add_member, member_id, roles_in
from tests.opportune.stored_rows import change, delete_row, read_all, read_one, set_all

ADDRESS = "new@example.com"
STRANGER = "stranger@example.com"


async def invite(app: FastAPI, browser: AsyncClient, crew: Crew, email: str = ADDRESS, role: str = "member") -> str:
    response = await browser.post(f"/teams/{crew.team.id}/invitations", data={"email": email, "role": role})
    assert response.status_code == 303, response.text
    body = (await read_sent_emails(app))[-1].get_body(("plain",))
    match = re.search(r"https?://[^/\s]+(/teams/invitation\?token=\S+)", body.get_content() if body else "")
    assert match
    return match[1]


async def only_id(database: Database) -> int:
    return int((await read_one(database, TeamInvitation)).id)


async def test_new_user_registers_and_accepts(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    link = await invite(app, clients["admin"], crew, "New@Example.com", "admin")
    page = await client.get(link)
    assert page.headers["referrer-policy"] == "same-origin"
    assert "Invitation to Crew" in page.text
    for path in ("login", "register"):
        assert re.search(rf'href="/accounts/{path}\?next=/teams/invitation%3Ftoken%3D', page.text)
    await client.post("/accounts/register", data={"email": ADDRESS, "password": PASSWORD})
    path, token = await read_newest_link(app)
    await client.post(path, data={"token": token, "password": PASSWORD})
    await client.post("/accounts/login", data={"email": ADDRESS, "password": PASSWORD, "next": link})
    await change(database, await read_one(database, User, email=ADDRESS), email="New@Example.com")  # an adopted row
    assert '1<span class="visually-hidden"> open invitations' in (await client.get("/teams")).text
    assert "Accept" in (await client.get(link)).text
    assert "new" not in await roles_in(database, crew.team)  # reading does not accept
    response = await client.post(f"/teams/invitations/{await only_id(database)}/accept")
    assert response.headers["location"] == f"/teams/{crew.team.id}"
    assert (await roles_in(database, crew.team))["New"] == "admin"
    assert await read_all(database, TeamInvitation) == []
    assert (await client.get(link)).status_code == 410


async def test_invitation_is_for_one_address(app: FastAPI, clients: Clients, crew: Crew, database: Database) -> None:
    link = await invite(app, clients["owner"], crew)
    for path in ("accept", "decline"):
        address = f"/teams/invitations/{await only_id(database)}/{path}"
        assert (await clients["stranger"].post(address)).status_code == 404
    page = await clients["stranger"].get(link)
    assert (page.status_code, "is for another address" in page.text) == (403, True)


async def test_unverified_user_cannot_accept(app: FastAPI, clients: Clients, crew: Crew, database: Database) -> None:
    link = await invite(app, clients["owner"], crew)
    async with signed_in_client(app, user := await make_user(database, ADDRESS)) as browser:
        page = await browser.get(link)
        assert (page.status_code, "First confirm your address" in page.text) == (403, True)
        assert (await browser.post(f"/teams/invitations/{await only_id(database)}/accept")).status_code == 404
        await change(database, user, is_verified=True)
        assert (await browser.get(link)).status_code == 200
        assert (await browser.post(f"/teams/invitations/{await only_id(database)}/accept")).status_code == 303
    assert (await roles_in(database, crew.team))["new"] == "member"


async def test_link_needs_a_valid_token(client: AsyncClient) -> None:
    assert (await client.get("/teams/invitation")).status_code == 410
    assert (await client.get("/teams/invitation?token=%00made-up")).status_code == 410


async def test_replaced_withdrawn_and_declined_links_are_invalid(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    path = f"/teams/{crew.team.id}/invitations"
    replaced, withdrawn = [await invite(app, clients["owner"], crew, STRANGER) for _ in range(2)]
    assert [(await client.get(link)).status_code for link in (replaced, withdrawn)] == [410, 200]
    number = await only_id(database)
    assert STRANGER in (await clients["admin"].get(path)).text
    foreign = f"/teams/{crew.other_team.id}/invitations/{number}/withdraw"
    assert (await clients["stranger"].post(foreign)).status_code == 404
    await clients["admin"].post(f"{path}/{number}/withdraw")
    assert (await client.get(withdrawn)).status_code == 410
    declined = await invite(app, clients["owner"], crew, STRANGER, "owner")
    data = {"email": STRANGER, "role": "member"}
    assert (await clients["admin"].post(path, data=data)).status_code == 403, "nor may an admin withdraw it"
    await clients["stranger"].post(f"/teams/invitations/{await only_id(database)}/decline")
    assert (await client.get(declined)).status_code == 410


async def test_expired_invitation_is_invalid_and_deleted(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    link = await invite(app, clients["owner"], crew, STRANGER)
    await set_all(database, TeamInvitation, expires_at=utc_now() - timedelta(seconds=1))
    assert (await client.get(link)).status_code == 410
    number = await only_id(database)
    assert (await clients["stranger"].post(f"/teams/invitations/{number}/accept")).status_code == 404
    assert await clean_up(database, app.state.settings, teams.jobs.cleanups) == [1]
    assert await read_all(database, TeamInvitation) == []


async def test_invalid_invitation_is_refused(clients: Clients, crew: Crew, database: Database) -> None:
    path = f"/teams/{crew.team.id}/invitations"
    for form, message in (
        ({}, "Please fill this in."),
        ({"email": "nobody"}, "e-mail"),
        ({"email": "Member@example.com"}, "This user is already a member."),
        ({"email": ADDRESS, "role": "captain"}, "one of the options"),
        ({"email": ADDRESS, "role": "owner"}, ""),
    ):
        response = await clients["admin"].post(path, data=form)
        assert response.status_code == (403 if form.get("role") == "owner" else 422), form
        assert message in response.text
    assert await read_all(database, TeamInvitation) == []


async def test_invitations_are_limited(clients: Clients, crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/teams/{crew.team.id}/invitations"
    forms = [{"email": f"person{number}@example.com"} for number in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(invitations, "MAX_OPEN_INVITATIONS", 2)
        assert [(await clients["owner"].post(path, data=form)).status_code for form in forms] == [303, 303, 422]
    monkeypatch.setattr(invitations.INVITATIONS_PER_USER, "limit", 1)
    response = [await clients["admin"].post(path, data=form) for form in forms[:2]][-1]
    assert (response.status_code, "That was too often" in response.text) == (429, True)
    assert "Retry-After" in response.headers


async def test_invitation_needs_an_inviter_who_may_invite(
    app: FastAPI, client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    link = await invite(app, clients["admin"], crew, STRANGER)
    number, stranger, inviter = await only_id(database), clients["stranger"], crew.users["admin"]
    member = f"/api/v1/teams/{crew.team.id}/members/{await member_id(database, crew.team, inviter)}"

    async def is_refused() -> bool:
        page = await client.get(link)
        refused = await stranger.post(f"/teams/invitations/{number}/accept")
        assert (page.status_code, refused.status_code) in ((200, 303), (410, 404))
        assert ("may no longer invite members" in page.text) == ("may no longer invite members" in refused.text)
        return page.status_code == 410

    await clients["owner"].patch(member, json={"role": "member"})
    assert await is_refused()
    assert (await stranger.post(f"/api/v1/teams/invitations/{number}/accept")).status_code == 404
    assert (await stranger.get("/api/v1/teams/invitations")).json() == []
    assert (await clients["owner"].get(f"/api/v1/teams/{crew.team.id}/invitations")).json() == []
    assert "open invitations" not in (await stranger.get("/teams/switcher")).text
    async with database.reader(fresh=True) as session:
        assert (await read_teams(session, crew.users["stranger"])).invitation_count == 0
    await clients["owner"].patch(member, json={"role": "admin"})
    await change(database, inviter, is_active=False)
    assert await is_refused()
    await change(database, inviter, is_active=True)
    await clients["owner"].delete(member)
    assert await is_refused()
    await add_member(database, crew.team, inviter, TeamRole.ADMIN)
    assert (await client.get(link)).status_code == 200, "the inviter is back"
    await delete_row(database, inviter)
    assert await is_refused()
    assert "stranger" not in await roles_in(database, crew.team)


async def test_former_owner_gives_nothing(app: FastAPI, clients: Clients, crew: Crew, database: Database) -> None:
    await invite(app, clients["owner"], crew, "second@example.com", "owner")
    await invite(app, clients["owner"], crew, STRANGER, "admin")
    owners, admins = [invitation.id for invitation in await read_all(database, TeamInvitation)]
    form = {"email": "admin@example.com", "current_password": PASSWORD}
    assert (await clients["owner"].post(f"/api/v1/teams/{crew.team.id}/hand-over", json=form)).status_code == 204
    async with signed_in_client(app, await make_user(database, "second@example.com", is_verified=True)) as second:
        assert (await second.post(f"/teams/invitations/{owners}/accept")).status_code == 404
    assert (await clients["stranger"].post(f"/teams/invitations/{admins}/accept")).status_code == 303
    roles = await roles_in(database, crew.team)
    assert roles == {"owner": "admin", "admin": "owner", "member": "member", "stranger": "admin"}
