"""Pages of groups. Staff cannot give permissions that they do not have."""

import asyncio
import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, add_permission, make_token, make_user, sign_in, signed_in_client
from tests.opportune.accounts.conftest import token_status
from tests.opportune.stored_rows import add_rows, count, read_all, read_one, reload

NEW_PASSWORD = "an altogether new one"
CONFIRMED = {"confirmed": "yes"}
ACTIONS = ("activate", "deactivate", "sign-out", "reset-two-factor")


@pytest.fixture
async def staff(app: FastAPI) -> User:
    """Staff with all permissions on users and groups. Without a password, signing in has confirmed their identity."""
    user = await make_user(app.state.database, "staff@example.com", is_staff=True, hashed_password="")
    for identity in ("user", "group"):
        await add_permission(app.state.database, user, identity, "*")
    return user


async def read_permissions(database: Database, name: str) -> set[str]:
    groups = await read_all(database, Group, name=name)
    permissions = [row for group in groups for row in await read_all(database, GroupPermission, group_id=group.id)]
    return {f"{row.identity}:{row.action}" for row in permissions}


async def run_action(client: AsyncClient, action: str, *users: User) -> Response:
    pks = ",".join(str(user.id) for user in users)
    return await client.post(f"/admin/user/action/{action}?pks={pks}", data=CONFIRMED)


async def test_superuser_creates_and_assigns_a_group(app: FastAPI, admin: AsyncClient, database: Database) -> None:
    form_data = {"name": "Editors", "permissions": ["user:list", "user:get"], "save": "Save"}
    refused = await admin.post("/admin/group/create", data=form_data)
    assert refused.headers["location"].startswith("/accounts/confirm?next=")
    assert await count(app, Group) == 0
    await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    assert (await admin.post("/admin/group/create", data=form_data)).status_code == 303
    assert (await admin.post("/admin/group/edit/1", data=form_data | {"name": "Renamed"})).status_code == 303
    assert (await admin.post("/admin/group/restore-entry/1?entry=2")).status_code == 303
    assert await read_permissions(database, "Editors") == {"user:list", "user:get"}
    assert 'value="user:list" id="permissions-user:list" checked' in (await admin.get("/admin/group/edit/1")).text
    assert "✓ Details yes" in extract_text(await admin.get("/admin/group/details/1"))
    user = await make_user(database, "anna@example.com")
    membership = {"email": user.email, "is_active": "y", "is_staff": "y", "groups": "1", "save": "Save"}
    assert (await admin.post(f"/admin/user/edit/{user.id}", data=membership)).status_code == 303
    page = (await admin.get(f"/admin/user/edit/{user.id}")).text
    assert re.search(r'<input checked [^>]*name="groups"[^>]*value="1"> <label[^>]*>Editors', page)
    async with signed_in_client(app, user) as client:
        assert (await client.get("/admin/user/list")).status_code == 200
        form_data = {"name": "Editors", "permissions": ["user:get"], "save": "Save"}
        assert (await admin.post("/admin/group/edit/1", data=form_data)).status_code == 303
        assert (await client.get("/admin/user/list")).status_code == 403
        membership.pop("groups")
        assert (await admin.post(f"/admin/user/edit/{user.id}", data=membership)).status_code == 303
        assert (await client.get("/admin/")).status_code == 403


@pytest.mark.parametrize("forged", ["*:*", "session:delete"])
async def test_staff_cannot_give_permissions_they_lack(app: FastAPI, staff_client: AsyncClient, forged: str) -> None:
    form_data = {"name": "Mine", "permissions": ["user:list", forged]}
    response = await staff_client.post("/admin/group/create", data=form_data)
    assert response.status_code == 400
    assert ('value="user:list"' in response.text, 'value="todo:list"' in response.text) == (True, False)
    assert await read_permissions(app.state.database, "Mine") == set()


async def test_staff_keep_permissions_of_groups_they_lack(staff_client: AsyncClient, database: Database) -> None:
    group = await add_permission(database, await make_user(database), "team", "delete")
    form_data = {"name": "Renamed", "permissions": ["user:list"], "save": "Save"}
    assert (await staff_client.post(f"/admin/group/edit/{group.id}", data=form_data)).status_code == 303
    assert await read_permissions(database, "Renamed") == {"team:delete", "user:list"}
    await staff_client.post(f"/admin/group/delete?pks={group.id}", data=CONFIRMED)
    assert "This group has permissions that you do not have." in (await staff_client.get("/admin/group/list")).text
    assert await read_permissions(database, "Renamed") == {"team:delete", "user:list"}


async def test_staff_cannot_change_users_with_more_permissions(staff_client: AsyncClient, database: Database) -> None:
    member = await make_user(database, "member@example.com")
    await add_permission(database, member, "team", "export")
    form_data = {"password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
    response = await staff_client.post(f"/admin/user/password/{member.id}", data=form_data)
    assert (response.status_code, "Only a superuser may change the account" in response.text) == (400, True)
    form_data = {"email": "mine@example.com", "is_active": "y"}
    assert (await staff_client.post(f"/admin/user/edit/{member.id}", data=form_data)).status_code == 400
    assert await reload(database, member) == member


async def test_staff_cannot_set_privileges_of_users(staff_client: AsyncClient, staff: User, database: Database) -> None:
    user = await make_user(database, "user@example.com")
    page = (await staff_client.get(f"/admin/user/edit/{user.id}")).text
    assert not any(f'name="{name}"' in page for name in ("is_superuser", "is_staff"))
    forged = {"is_superuser": "y", "is_staff": "y", "is_active": "y", "save": "Save"}
    form_data = {"email": "user@example.com", **forged}
    assert (await staff_client.post(f"/admin/user/edit/{user.id}", data=form_data)).status_code == 303
    new_user = {"email": "new@example.com", "password": NEW_PASSWORD, **forged}
    assert (await staff_client.post("/admin/user/create", data=new_user)).status_code == 303
    assert {row.email for row in await read_all(database, User, is_staff=True)} == {staff.email}
    assert await read_all(database, User, is_superuser=True) == []
    assert {row.user_id for row in await read_all(database, Membership)} == {staff.id}


async def test_colleagues_are_protected(app: FastAPI, staff_client: AsyncClient, superuser: User, staff: User) -> None:
    database = app.state.database
    colleague = await make_user(database, "colleague@example.com", is_staff=True)
    for user in (superuser, colleague, staff):
        for page in (f"edit/{user.id}", f"password/{user.id}", f"delete?pks={user.id}"):
            assert (await staff_client.get(f"/admin/user/{page}")).status_code == 403, page
        passwords = {"password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
        form_data = {"email": "mine@example.com", **passwords, **CONFIRMED}
        for page in (f"edit/{user.id}", f"password/{user.id}", f"delete?pks={user.id}"):
            assert (await staff_client.post(f"/admin/user/{page}", data=form_data)).status_code == 403, page
        details = (await staff_client.get(f"/admin/user/details/{user.id}")).text
        for link in ("/action/", "/password/", "/user/edit/", "/user/delete"):
            assert link not in details, link
        for action in ACTIONS:
            await run_action(staff_client, action, user)
        text = (await staff_client.get("/admin/user/list")).text
        assert text.count("Only a superuser may change the account") == len(ACTIONS)
        stored = await reload(database, user)
        assert (stored.email, stored.is_active, stored.hashed_password) == (user.email, True, user.hashed_password)
    async with signed_in_client(app, superuser) as root:
        assert "staff@example.com" not in (await root.get("/admin/audit-entry/list?identity=user")).text


async def test_staff_assign_groups_within_permissions(app: FastAPI, staff_client: AsyncClient, staff: User) -> None:
    database = app.state.database
    stronger_group = await add_permission(database, await make_user(database), "team", "list")
    group = await add_permission(database, staff, "user", "list")
    user = await make_user(database, "user@example.com")
    form_data = {"email": user.email, "is_active": "y", "save": "Save"}
    edit = f"/admin/user/edit/{user.id}"
    page = (await staff_client.get(edit)).text
    assert f">{group.name}</label>" in page
    assert f">{stronger_group.name}</label>" not in page
    assert (await staff_client.post(edit, data={**form_data, "groups": str(stronger_group.id)})).status_code == 400
    assert (await staff_client.post(edit, data={**form_data, "groups": str(group.id)})).status_code == 303
    new_user = {**form_data, "email": "new@example.com", "password": NEW_PASSWORD, "groups": str(group.id)}
    stronger_user = {**new_user, "groups": str(stronger_group.id)}
    assert (await staff_client.post("/admin/user/create", data=stronger_user)).status_code == 400
    assert (await staff_client.post("/admin/user/create", data=new_user)).status_code == 303
    new_member = await read_one(database, User, email="new@example.com")
    member_ids = {row.user_id for row in await read_all(database, Membership, group_id=group.id)}
    assert member_ids == {staff.id, user.id, new_member.id}
    # The editor has more permissions than this user.
    assert (await staff_client.post(edit, data=form_data)).status_code == 303
    assert await read_all(database, Membership, user_id=user.id) == []


async def test_assigning_groups_needs_permission_to_edit_groups(app: FastAPI, database: Database, user: User) -> None:
    support = await make_user(database, "support@example.com", is_staff=True)
    group = await add_permission(database, support, "user", "*")
    async with signed_in_client(app, support) as client:
        assert 'name="groups"' not in (await client.get(f"/admin/user/edit/{user.id}")).text
        form_data = {"email": user.email, "is_active": "y", "groups": str(group.id), "save": "Save"}
        assert (await client.post(f"/admin/user/edit/{user.id}", data=form_data)).status_code == 303
        assert "Permissions" not in (await client.get(f"/admin/user/details/{support.id}")).text
    assert await read_all(database, Membership, user_id=user.id) == []


async def test_permissions_for_missing_models_are_kept(admin: AsyncClient, database: Database) -> None:
    group = await add_permission(database, await make_user(database), "*", "list")
    await add_rows(database, GroupPermission(group_id=group.id, identity="gone", action="list"))
    response = await admin.get(f"/admin/group/edit/{group.id}")
    assert 'value="*:list" id="permissions-*:list" checked aria-label="Every model: List"' in response.text
    assert "Not installed: gone:list" in extract_text(response)
    form_data = {"name": group.name, "permissions": ["user:list"], "save": "Save"}
    await admin.post("/accounts/confirm", data={"current_password": PASSWORD})
    assert (await admin.post(f"/admin/group/edit/{group.id}", data=form_data)).status_code == 303
    assert await read_permissions(database, group.name) == {"user:list", "gone:list"}


def extract_text(page: Response) -> str:
    """Return the text of a page with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


async def test_staff_may_help_users_without_permissions(app: FastAPI, staff_client: AsyncClient) -> None:
    database = app.state.database
    user = await make_user(database, "user@example.com", totp_secret="sealed", totp_step=7)
    token = await make_token(database, user)
    async with signed_in_client(app, user) as browser:
        assert (await browser.get("/accounts/profile")).status_code == 200
        await run_action(staff_client, "sign-out", user)
        assert (await browser.get("/accounts/profile")).status_code == 303
        assert await token_status(browser, token) == 401
        await sign_in(browser, app, user)
        await run_action(staff_client, "deactivate", user)
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert not (await reload(database, user)).is_active
    await run_action(staff_client, "activate", user)
    await run_action(staff_client, "reset-two-factor", user)
    user = await reload(database, user)
    assert user.is_active
    assert not user.has_two_factor
    assert "sealed" not in (await staff_client.get(f"/admin/user/details/{user.id}")).text


@pytest.mark.database("postgresql")
async def test_concurrent_demotions_leave_one_superuser(app: FastAPI, superuser: User) -> None:
    async def demote(client: AsyncClient, user: User) -> int:
        await client.post("/accounts/confirm", data={"current_password": PASSWORD})
        form_data = {"email": user.email, "is_active": "y"}
        return (await client.post(f"/admin/user/edit/{user.id}", data=form_data)).status_code

    colleague = await make_user(app.state.database, "other@example.com", is_superuser=True)
    async with signed_in_client(app, superuser) as client, signed_in_client(app, colleague) as colleague_client:
        statuses = await asyncio.gather(demote(client, colleague), demote(colleague_client, superuser))
    assert 303 in statuses
    assert await count(app, User, is_superuser=True) == 1


async def test_deactivation_of_several_users_is_atomic(admin: AsyncClient, superuser: User, database: Database) -> None:
    users = [await make_user(database) for _ in range(2)]
    await run_action(admin, "deactivate", *users, superuser)
    assert "You cannot remove your own permissions" in (await admin.get("/admin/user/list")).text
    assert await read_all(database, User, is_active=False) == []
    await run_action(admin, "deactivate", *users)
    assert await count(database, User, is_active=False) == 2
