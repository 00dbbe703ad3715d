from collections.abc import Mapping

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, make_user
from tests.opportune.accounts.sent_emails import sent_subjects
from tests.opportune.contrib.teams.conftest import Crew
from tests.opportune.contrib.teams.members import member_id, roles_in

pytestmark = pytest.mark.database("sqlite")

Clients = Mapping[str, AsyncClient]


async def stored(database: Database, team: Team) -> Team | None:
    async with database.reader() as session:
        return await session.get(Team, team.id)


async def test_each_page_is_for_those_who_may_and_nobody_below_the_role_changes_anything(
    client: AsyncClient, clients: Clients, crew: Crew, database: Database
) -> None:
    mine, foreign, nowhere = f"/teams/{crew.team.id}", f"/teams/{crew.foreign.id}", "/teams/999"
    for path, role in (("", TeamRole.MEMBER), ("/invitations", TeamRole.ADMIN), ("/settings", TeamRole.MEMBER)):
        assert (await client.get(mine + path)).headers["location"].startswith("/accounts/login?next=")
        for name in TeamRole:
            expected = 200 if name.includes(role) else 403
            assert (await clients[name].get(mine + path)).status_code == expected, (name, path)
        for address in (foreign + path, nowhere + path):
            assert (await clients["owner"].get(address)).status_code == 404, address

    number = await member_id(database, crew.team, crew.people["owner"])
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
    found = await stored(database, crew.team)
    assert (found and found.name, await roles_in(database, crew.team)) == ("Crew", before)

    assert 'href="/teams' not in (await client.get("/")).text
    assert (await clients["owner"].get("/no-such-page")).status_code == 404


async def test_whoever_makes_a_team_owns_it_and_is_in_it(user_client: AsyncClient, database: Database) -> None:
    for wrong in ({}, {"name": " "}, {"name": "a" * 101}, {"name": "NUL \0"}):
        assert (await user_client.post("/teams/new", data=wrong)).status_code == 422, wrong

    assert "dropdown-divider" not in (await user_client.get("/teams/switcher")).text, "below nothing there is no line"
    answer = await user_client.post("/teams/new", data={"name": "Press & Co"})
    page = await user_client.get(answer.headers["location"])

    assert "Press &amp; Co" in page.text
    assert "Owner" in page.text
    again = await user_client.post("/teams/new", data={"name": "Second", "next": "/accounts/sessions"})
    assert again.headers["location"] == "/accounts/sessions"
    assert "Switch to Press &amp; Co" in (await user_client.get("/teams/switcher")).text


async def test_whoever_has_one_of_many_teams_switches_between_them(clients: Clients, crew: Crew) -> None:
    browser = clients["owner"]
    second = (await browser.post("/teams/new", data={"name": "Second"})).headers["location"]
    assert f"Switch to {crew.team.name}" in (await browser.get("/teams")).text
    assert f"Switch to {crew.team.name}" not in (await browser.get("/")).text

    answer = await browser.post(f"/teams/{crew.team.id}/switch", data={"next": "/accounts/sessions"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/sessions")
    shown = {"HX-Request": "true", "HX-Current-URL": "http://testserver/accounts/sessions?page=2"}
    menu = await browser.get("/teams/switcher", headers=shown)
    assert "Switch to Second" in menu.text
    assert 'name="next" value="/"' in menu.text
    assert "no-store" in menu.headers["cache-control"]
    assert (await browser.post(f"{second}/switch", data={"next": "//evil.example"})).headers["location"] == second
    assert (await browser.post(f"/teams/{crew.foreign.id}/switch")).status_code == 404


async def test_roles_are_given_up_to_ones_own(clients: Clients, crew: Crew, database: Database) -> None:
    numbers = {name: await member_id(database, crew.team, crew.people[name]) for name in TeamRole}

    async def give(who: str, whom: TeamRole, role: str) -> int:
        path = f"/teams/{crew.team.id}/members/{numbers[whom]}/role"
        return (await clients[who].post(path, data={"role": role})).status_code

    assert await give("admin", TeamRole.MEMBER, "owner") == 403
    assert await give("admin", TeamRole.OWNER, "member") == 403
    assert await give("admin", TeamRole.MEMBER, "admin") == 303
    assert await give("owner", TeamRole.MEMBER, "captain") == 303
    assert await roles_in(database, crew.team) == {"owner": "owner", "admin": "admin", "member": "admin"}
    assert await give("owner", TeamRole.MEMBER, "owner") == 303
    assert await give("owner", TeamRole.OWNER, "member") == 303
    assert await roles_in(database, crew.team) == {"owner": "member", "admin": "admin", "member": "owner"}
    foreign = await member_id(database, crew.foreign, crew.people["stranger"])
    assert (await clients["admin"].post(f"/teams/{crew.team.id}/members/{foreign}/remove")).status_code == 404


async def test_the_only_owner_is_told_why_they_stay_and_members_leave_and_are_removed(
    clients: Clients, crew: Crew, database: Database
) -> None:
    browser, number = clients["owner"], await member_id(database, crew.team, crew.people["owner"])
    for path, data in (
        ("leave", {}),
        (f"members/{number}/remove", {}),
        (f"members/{number}/role", {"role": "member"}),
    ):
        await browser.post(f"/teams/{crew.team.id}/{path}", data=data)
        assert "The team would have no active owner" in (await browser.get("/teams")).text
    await clients["stranger"].post(f"/teams/{crew.foreign.id}/leave")
    assert "delete it instead" in (await clients["stranger"].get("/teams")).text
    assert (await roles_in(database, crew.team))["owner"] == "owner"

    number = await member_id(database, crew.team, crew.people["admin"])
    await clients["member"].post(f"/teams/{crew.team.id}/leave")
    await clients["owner"].post(f"/teams/{crew.team.id}/members/{number}/remove")

    assert await roles_in(database, crew.team) == {"owner": "owner"}
    assert (await clients["member"].get(f"/teams/{crew.team.id}")).status_code == 404


async def test_an_owner_hands_over_to_a_member_with_the_password(
    app: FastAPI, clients: Clients, crew: Crew, database: Database
) -> None:
    path = f"/teams/{crew.team.id}/hand-over"
    for wrong, words in (
        ({"email": "admin@example.com", "current_password": "wrong"}, "not your current password"),
        ({"email": "stranger@example.com", "current_password": PASSWORD}, "Nobody with this address"),
        ({"email": "owner@example.com", "current_password": PASSWORD}, "name somebody else"),
    ):
        answer = await clients["owner"].post(path, data=wrong)
        assert (answer.status_code, words in answer.text) == (422, True), wrong

    answer = await clients["owner"].post(path, data={"email": "Member@example.com", "current_password": PASSWORD})

    assert answer.status_code == 303
    assert await roles_in(database, crew.team) == {"owner": "admin", "admin": "admin", "member": "owner"}
    assert await sent_subjects(app) == [("member@example.com", "Crew is yours")]


async def test_many_members_are_found_by_page_and_by_words_and_an_admin_renames_and_an_owner_deletes(
    clients: Clients, crew: Crew, database: Database
) -> None:
    people = [await make_user(database, f"person{number:02}@example.com") for number in range(30)]
    async with database.writer() as session:
        session.add_all(TeamMember(team_id=crew.team.id, user_id=each.id, role=TeamRole.MEMBER) for each in people)

    first = await clients["member"].get(f"/teams/{crew.team.id}")
    assert "Page 1 of 2" in first.text
    assert first.text.index("owner@example.com") < first.text.index("admin@example.com")
    found = await clients["member"].get(f"/teams/{crew.team.id}?q=person07")
    assert ("person07@" in found.text, "person08@" in found.text) == (True, False)

    path = f"/teams/{crew.team.id}"
    assert (await clients["admin"].post(f"{path}/settings", data={"name": ""})).status_code == 422
    assert (await clients["admin"].post(f"{path}/settings", data={"name": "Gang"})).status_code == 303
    for wrong in ({"name": "Crew"}, {"current_password": "wrong"}):
        sent = {"name": "Gang", "current_password": PASSWORD, **wrong}
        assert (await clients["owner"].post(f"{path}/delete", data=sent)).status_code == 422, wrong

    answer = await clients["owner"].post(f"{path}/delete", data={"name": "Gang", "current_password": PASSWORD})

    assert answer.headers["location"] == "/teams"
    assert await stored(database, crew.team) is None
    assert await roles_in(database, crew.team) == {}
