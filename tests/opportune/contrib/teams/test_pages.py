from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.accounts.sent_emails import read_sent_subjects
from tests.opportune.contrib.teams.conftest import Clients, Crew
from tests.opportune.contrib.teams.members import member_id, roles_in
from tests.opportune.stored_rows import add_rows, read_all, reload


async def test_pages_need_a_role(client: AsyncClient, clients: Clients, crew: Crew) -> None:
    own_team, other_team, missing_team = f"/teams/{crew.team.id}", f"/teams/{crew.other_team.id}", "/teams/999"
    for path, role in (("", TeamRole.MEMBER), ("/invitations", TeamRole.ADMIN), ("/settings", TeamRole.MEMBER)):
        assert (await client.get(own_team + path)).headers["location"].startswith("/accounts/login?next=")
        for name in TeamRole:
            expected = 200 if name.includes(role) else 403
            assert (await clients[name].get(own_team + path)).status_code == expected, (name, path)
        for address in (other_team + path, missing_team + path):
            assert (await clients["owner"].get(address)).status_code == 404, address


async def test_changes_need_a_role(client: AsyncClient, clients: Clients, crew: Crew, database: Database) -> None:
    number = await member_id(database, crew.team, crew.users["owner"])
    changes = {
        "settings": ({"name": "Taken"}, "admin"),
        "invitations": ({"email": "new@example.com"}, "admin"),
        f"members/{number}/role": ({"role": "member"}, "owner"),
        f"members/{number}/remove": ({}, "owner"),
        "hand-over": ({"email": "admin@example.com", "current_password": PASSWORD}, "owner"),
        "delete": ({"name": "Crew", "current_password": PASSWORD}, "owner"),
    }
    before = await roles_in(database, crew.team)
    for path, (data, needed) in changes.items():
        address = f"/teams/{crew.team.id}/{path}"
        assert (await client.post(address, data=data)).headers["location"].startswith("/accounts/login"), path
        assert (await clients["stranger"].post(address, data=data)).status_code == 404, path
        for below in ("member", "admin"):
            if not TeamRole(below).includes(needed):
                assert (await clients[below].post(address, data=data)).status_code == 403, (below, path)
    assert ((await reload(database, crew.team)).name, await roles_in(database, crew.team)) == ("Crew", before)


async def test_creator_of_a_team_is_its_owner(user_client: AsyncClient, database: Database) -> None:
    for wrong in ({}, {"name": " "}, {"name": "a" * 101}, {"name": "NUL \0"}):
        assert (await user_client.post("/teams/new", data=wrong)).status_code == 422, wrong
    assert "dropdown-divider" not in (await user_client.get("/teams/switcher")).text, "no divider without teams"
    response = await user_client.post("/teams/new", data={"name": "Press & Co"})
    page = await user_client.get(response.headers["location"])
    assert "Press &amp; Co" in page.text
    assert "Owner" in page.text
    second = await user_client.post("/teams/new", data={"name": "Second", "next": "/accounts/sessions"})
    assert second.headers["location"] == "/accounts/sessions"
    assert "Switch to Press &amp; Co" in (await user_client.get("/teams/switcher")).text


async def test_user_switches_between_teams(clients: Clients, crew: Crew) -> None:
    browser = clients["owner"]
    second = (await browser.post("/teams/new", data={"name": "Second"})).headers["location"]
    assert f"Switch to {crew.team.name}" in (await browser.get("/teams")).text
    assert f"Switch to {crew.team.name}" not in (await browser.get("/privacy")).text
    response = await browser.post(f"/teams/{crew.team.id}/switch", data={"next": "/accounts/sessions"})
    assert (response.status_code, response.headers["location"]) == (303, "/accounts/sessions")
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/accounts/sessions?page=2"}
    menu = await browser.get("/teams/switcher", headers=headers)
    assert "Switch to Second" in menu.text
    assert 'name="next" value="/"' in menu.text
    assert "no-store" in menu.headers["cache-control"]
    assert (await browser.post(f"{second}/switch", data={"next": "//evil.example"})).headers["location"] == second
    assert (await browser.post(f"/teams/{crew.other_team.id}/switch")).status_code == 404
    unknown_encoding = {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"}
    body = b'--x\r\nContent-Disposition: form-data; name="next"\r\n\r\n/\r\n--x--\r\n'
    for path in (f"{second}/switch", "/accounts/language"):
        assert (await browser.post(path, content=body, headers=unknown_encoding)).status_code == 400


async def test_members_change_roles_up_to_their_own(clients: Clients, crew: Crew, database: Database) -> None:
    ids = {name: await member_id(database, crew.team, crew.users[name]) for name in TeamRole}

    async def give(actor: str, member: TeamRole, role: str) -> int:
        path = f"/teams/{crew.team.id}/members/{ids[member]}/role"
        return (await clients[actor].post(path, data={"role": role})).status_code

    assert await give("admin", TeamRole.MEMBER, "owner") == 403
    assert await give("admin", TeamRole.OWNER, "member") == 403
    assert await give("admin", TeamRole.MEMBER, "admin") == 303
    assert await give("owner", TeamRole.MEMBER, "captain") == 303
    assert await roles_in(database, crew.team) == {"owner": "owner", "admin": "admin", "member": "admin"}
    assert await give("owner", TeamRole.MEMBER, "owner") == 303
    assert await give("owner", TeamRole.OWNER, "member") == 303
    assert await roles_in(database, crew.team) == {"owner": "member", "admin": "admin", "member": "owner"}
    other_team = await member_id(database, crew.other_team, crew.users["stranger"])
    assert (await clients["admin"].post(f"/teams/{crew.team.id}/members/{other_team}/remove")).status_code == 404


async def test_owner_hands_over_to_a_member(app: FastAPI, clients: Clients, crew: Crew, database: Database) -> None:
    path = f"/teams/{crew.team.id}/hand-over"
    for wrong, message in (
        ({"email": "admin@example.com", "current_password": "wrong"}, "not your current password"),
        ({"email": "stranger@example.com", "current_password": PASSWORD}, "No member of the team has this address"),
        ({"email": "owner@example.com", "current_password": PASSWORD}, "Choose another member"),
    ):
        response = await clients["owner"].post(path, data=wrong)
        assert (response.status_code, message in response.text) == (422, True), wrong
    response = await clients["owner"].post(path, data={"email": "Member@example.com", "current_password": PASSWORD})
    assert response.status_code == 303
    assert await roles_in(database, crew.team) == {"owner": "admin", "admin": "admin", "member": "owner"}
    assert await read_sent_subjects(app) == [("member@example.com", "Crew is yours")]


async def test_members_are_paged_and_searched(clients: Clients, crew: Crew, database: Database) -> None:
    users = [await make_user(database, f"person{number:02}@example.com") for number in range(30)]
    members = (TeamMember(team_id=crew.team.id, user_id=user.id, role=TeamRole.MEMBER) for user in users)
    await add_rows(database, *members)
    page = await clients["member"].get(f"/teams/{crew.team.id}")
    assert "Page 1 of 2" in page.text
    assert page.text.index("owner@<wbr>example.com") < page.text.index("admin@<wbr>")
    response = await clients["member"].get(f"/teams/{crew.team.id}?q=person07")
    assert "person07@" in response.text
    assert "person08@" not in response.text


async def test_deletion_needs_name_and_password(clients: Clients, crew: Crew, database: Database) -> None:
    path, form = f"/teams/{crew.team.id}/delete", {"name": "Crew", "current_password": PASSWORD}
    for wrong in ({"name": "Gang"}, {"current_password": "wrong"}):
        assert (await clients["owner"].post(path, data={**form, **wrong})).status_code == 422, wrong
    assert (await clients["owner"].post(path, data=form)).headers["location"] == "/teams"
    assert await read_all(database, Team, id=crew.team.id) == []
