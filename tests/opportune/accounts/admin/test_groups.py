"""Pages of groups. Staff cannot give permissions that they do not have."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.db.database import Database
from opportune.testing.factories import PASSWORD, add_permission, make_user, sign_in, signed_in_client

NEW_PASSWORD = "an altogether new one"
ACTIONS = ("activate", "deactivate", "sign-out", "reset-two-factor")


@pytest.fixture
async def staff(app: FastAPI) -> User:
    """Staff with all permissions on users and groups."""
    user = await make_user(app.state.database, "staff@example.com", is_staff=True)
    for identity in ("user", "group"):
        await add_permission(app.state.database, user, identity, "*")
    return user


@pytest.fixture
async def staff_client(app: FastAPI, staff: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, staff) as client:
        yield client


async def read_permissions(database: Database, group: str) -> set[str]:
    statement = (
        select(GroupPermission)
        .join(Group, col(Group.id) == col(GroupPermission.group_id))
        .where(col(Group.name) == group)
    )
    async with database.reader() as session:
        return {f"{row.identity}:{row.action}" for row in await session.scalars(statement)}


async def reload_user(database: Database, user: User) -> User:
    async with database.reader() as session:
        return await session.get_one(User, user.id)


async def test_superuser_creates_and_assigns_a_group(app: FastAPI, admin: AsyncClient) -> None:
    database = app.state.database
    form_data = {"name": "Editors", "permissions": ["user:list", "user:get"], "save": "Save"}
    assert (await admin.post("/admin/group/create", data=form_data)).status_code == 303
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


async def test_members_are_added_and_removed(app: FastAPI, admin: AsyncClient) -> None:
    user = await make_user(app.state.database)
    await admin.post("/admin/group/create", data={"name": "Editors", "permissions": "user:list"})
    form_data = {"user_id": str(user.id), "group_id": "1", "save": "Save"}
    assert (await admin.post("/admin/membership/create", data=form_data)).status_code == 303
    response = await admin.post("/admin/membership/create", data=form_data)
    assert response.status_code == 400
    await admin.post("/admin/membership/delete?pks=1", data={"confirmed": "yes"})
    async with app.state.database.reader() as session:
        assert await session.scalar(select(Membership)) is None


async def test_staff_cannot_give_permissions_they_lack(app: FastAPI, staff_client: AsyncClient, staff: User) -> None:
    for forged in ("todo:list", "*:*", "session:delete", "nonsense"):
        response = await staff_client.post(
            "/admin/group/create", data={"name": "Mine", "permissions": ["user:list", forged]}
        )
        assert response.status_code == 400, forged
        assert await read_permissions(app.state.database, "Mine") == set()
    assert 'value="user:list"' in response.text
    assert 'value="todo:list"' not in response.text

    database = app.state.database
    group = await add_permission(database, await make_user(database), "team", "delete")
    form_data = {"name": "Renamed", "permissions": ["user:list"], "save": "Save"}
    assert (await staff_client.post(f"/admin/group/edit/{group.id}", data=form_data)).status_code == 303
    assert await read_permissions(database, "Renamed") == {"team:delete", "user:list"}
    await staff_client.post(f"/admin/group/delete?pks={group.id}", data={"confirmed": "yes"})
    assert "This group has permissions that you do not have." in (await staff_client.get("/admin/group/list")).text
    assert await read_permissions(database, "Renamed") == {"team:delete", "user:list"}

    member = await make_user(database, "member@example.com")
    await add_permission(database, member, "team", "export")
    form_data = {"password": NEW_PASSWORD, "password_again": NEW_PASSWORD}
    response = await staff_client.post(f"/admin/user/password/{member.id}", data=form_data)
    assert response.status_code == 400
    assert "Only a superuser may change the account" in response.text
    response = await staff_client.post(
        f"/admin/user/edit/{member.id}", data={"email": "mine@example.com", "is_active": "y"}
    )
    assert response.status_code == 400
    assert (await reload_user(database, member)).hashed_password == member.hashed_password


async def test_staff_cannot_set_privileges_of_users(app: FastAPI, staff_client: AsyncClient, staff: User) -> None:
    database = app.state.database
    user = await make_user(database, "user@example.com")
    page = (await staff_client.get(f"/admin/user/edit/{user.id}")).text
    for name in ("is_superuser", "is_staff"):
        assert f'name="{name}"' not in page
    forged = {"is_superuser": "y", "is_staff": "y", "is_active": "y", "save": "Save"}
    form_data = {"email": "user@example.com", **forged}
    assert (await staff_client.post(f"/admin/user/edit/{user.id}", data=form_data)).status_code == 303
    new_user = {"email": "new@example.com", "password": NEW_PASSWORD, **forged}
    assert (await staff_client.post("/admin/user/create", data=new_user)).status_code == 303
    async with database.reader() as session:
        users = (await session.scalars(select(User).where(col(User.email).in_([user.email, new_user["email"]])))).all()
        members = set(await session.scalars(select(col(Membership.user_id))))
    assert len(users) == 2
    assert not any(user.is_superuser or user.is_staff for user in users)
    assert members == {staff.id}


async def test_staff_cannot_change_staff_or_superusers(
    app: FastAPI, staff_client: AsyncClient, superuser: User, staff: User
) -> None:
    database = app.state.database
    colleague = await make_user(database, "colleague@example.com", is_staff=True)
    for user in (superuser, colleague, staff):
        for page in (f"edit/{user.id}", f"password/{user.id}", f"delete?pks={user.id}"):
            assert (await staff_client.get(f"/admin/user/{page}")).status_code == 403, page
        form_data = {
            "email": "mine@example.com",
            "password": NEW_PASSWORD,
            "password_again": NEW_PASSWORD,
            "confirmed": "yes",
        }
        for page in (f"edit/{user.id}", f"password/{user.id}", f"delete?pks={user.id}"):
            assert (await staff_client.post(f"/admin/user/{page}", data=form_data)).status_code == 403, page
        details = (await staff_client.get(f"/admin/user/details/{user.id}")).text
        for link in ("/action/", "/password/", "/user/edit/", "/user/delete"):
            assert link not in details, link
        for action in ACTIONS:
            await staff_client.post(f"/admin/user/action/{action}?pks={user.id}", data={"confirmed": "yes"})
        text = (await staff_client.get("/admin/user/list")).text
        assert text.count("Only a superuser may change the account") == len(ACTIONS)
        stored = await reload_user(database, user)
        assert (stored.email, stored.is_active, stored.hashed_password) == (user.email, True, user.hashed_password)
    async with signed_in_client(app, superuser) as root:
        assert "staff@example.com" not in (await root.get("/admin/audit-entry/list?identity=user")).text


async def test_staff_assign_only_groups_within_their_permissions(
    app: FastAPI, staff_client: AsyncClient, staff: User
) -> None:
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
    assert (
        await staff_client.post("/admin/user/create", data={**new_user, "groups": str(stronger_group.id)})
    ).status_code == 400
    assert (await staff_client.post("/admin/user/create", data=new_user)).status_code == 303
    async with database.reader() as session:
        members = await session.scalars(
            select(col(User.email)).join(Membership).where(col(Membership.group_id) == group.id)
        )
        assert set(members) == {staff.email, user.email, "new@example.com"}
    assert (await staff_client.post(edit, data=form_data)).status_code == 303, (
        "the editor has more permissions than this user"
    )
    async with database.reader() as session:
        assert await session.scalar(select(Membership).where(col(Membership.user_id) == user.id)) is None


async def test_assigning_groups_needs_permission_to_edit_groups(app: FastAPI) -> None:
    database = app.state.database
    support = await make_user(database, "support@example.com", is_staff=True)
    group = await add_permission(database, support, "user", "*")
    user = await make_user(database)
    async with signed_in_client(app, support) as client:
        assert 'name="groups"' not in (await client.get(f"/admin/user/edit/{user.id}")).text
        form_data = {"email": user.email, "is_active": "y", "groups": str(group.id), "save": "Save"}
        assert (await client.post(f"/admin/user/edit/{user.id}", data=form_data)).status_code == 303
        assert "Permissions" not in (await client.get(f"/admin/user/details/{support.id}")).text
    async with database.reader() as session:
        assert await session.scalar(select(Membership).where(col(Membership.user_id) == user.id)) is None


async def test_permissions_of_a_group_are_a_table(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    database = app.state.database
    group = await add_permission(database, await make_user(database), "user", "*")
    edit = f"/admin/group/edit/{group.id}"
    page = (await admin.get(edit)).text
    assert 'value="user:*" id="permissions-user:*" checked aria-label="Users: All"' in page
    assert 'value="user:list" id="permissions-user:list" aria-label="Users: List"' in page
    form_data = {"name": group.name, "permissions": ["user:*", "user:update", "user:action:activate"], "save": "Save"}
    assert (await admin.post(edit, data=form_data)).status_code == 303
    assert await read_permissions(database, group.name) == {"user:*", "user:update", "user:action:activate"}
    text = extract_text(await admin.get(f"/admin/group/details/{group.id}"))
    assert "Users user ✓ All yes ✓ List yes" in text
    assert "✓ Activate" in text
    assert "Linked" not in text.partition("Permissions")[2].partition("Memberships")[0], (
        "only permissions of the current user"
    )
    assert (await admin.post(edit, data={**form_data, "permissions": ["user:list"]})).status_code == 303
    assert await read_permissions(database, group.name) == {"user:list"}

    group = await add_permission(database, await make_user(database), "*", "list")
    async with database.writer() as session:
        session.add(GroupPermission(group_id=group.id, identity="gone", action="list"))
    response = await admin.get(f"/admin/group/edit/{group.id}")
    assert 'value="*:list" id="permissions-*:list" checked aria-label="Every model: List"' in response.text
    assert "Not installed: gone:list" in extract_text(response)
    form_data = {"name": group.name, "permissions": ["user:list"], "save": "Save"}
    assert (await admin.post(f"/admin/group/edit/{group.id}", data=form_data)).status_code == 303
    assert await read_permissions(database, group.name) == {"user:list", "gone:list"}


async def test_user_page_lists_permissions_by_group(app: FastAPI, admin: AsyncClient) -> None:
    database = app.state.database
    user = await make_user(database)
    address = f"/admin/user/details/{user.id}"
    assert "Permissions" not in extract_text(await admin.get(address))
    lister = await add_permission(database, user, "user", "list")
    assert f"From the group {lister.name}" in extract_text(await admin.get(address))
    manager = await add_permission(database, user, "user", "*")
    text = extract_text(await admin.get(address))
    assert f"1 {lister.name} 2 {manager.name}" in text
    assert f"1 2 List by {lister.name}, {manager.name} 2 Details by {manager.name}" in text
    assert "is not staff" in text


def extract_text(page: Response) -> str:
    """Return the text of a page with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


async def test_staff_may_help_users_without_permissions(app: FastAPI, staff_client: AsyncClient) -> None:
    database = app.state.database
    user = await make_user(database, "user@example.com", totp_secret="sealed", totp_step=7)
    async with signed_in_client(app, user) as browser:
        assert (await browser.get("/accounts/profile")).status_code == 200
        await staff_client.post(f"/admin/user/action/sign-out?pks={user.id}", data={"confirmed": "yes"})
        assert (await browser.get("/accounts/profile")).status_code == 303
        await sign_in(browser, app, user)
        await staff_client.post(f"/admin/user/action/deactivate?pks={user.id}", data={"confirmed": "yes"})
        assert (await browser.get("/accounts/profile")).status_code == 303
    assert not (await reload_user(database, user)).is_active
    await staff_client.post(f"/admin/user/action/activate?pks={user.id}", data={"confirmed": "yes"})
    await staff_client.post(f"/admin/user/action/reset-two-factor?pks={user.id}", data={"confirmed": "yes"})
    user = await reload_user(database, user)
    assert user.is_active
    assert not user.has_two_factor
    assert "sealed" not in (await staff_client.get(f"/admin/user/details/{user.id}")).text


async def test_deactivation_of_several_users_is_atomic(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    users = [await make_user(app.state.database) for _ in range(2)]
    pks = f"{users[0].id},{users[1].id},{superuser.id}"
    await admin.post(f"/admin/user/action/deactivate?pks={pks}", data={"confirmed": "yes"})
    assert "You cannot remove your own permissions" in (await admin.get("/admin/user/list")).text
    assert [(await reload_user(app.state.database, user)).is_active for user in users] == [True, True]
    await admin.post(f"/admin/user/action/deactivate?pks={users[0].id},{users[1].id}", data={"confirmed": "yes"})
    assert [(await reload_user(app.state.database, user)).is_active for user in users] == [False, False]

    for flag in ("is_staff", "is_superuser"):
        flags: dict[str, Any] = {flag: True}
        user = await make_user(app.state.database, **flags)
        form_data = {"email": user.email, "is_active": "y", "save": "Save"}
        async with signed_in_client(app, user) as browser:
            await admin.post(f"/admin/user/edit/{user.id}", data=form_data)
            assert (await browser.get("/accounts/profile")).status_code == 303, flag
        assert not getattr(await reload_user(app.state.database, user), flag)


async def test_tokens_are_listed_without_hashes_and_revoked(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    login = {"username": superuser.email, "password": PASSWORD}
    async with signed_in_client(app) as program:
        program.cookies.clear()
        token = (await program.post("/api/v1/auth/login", data=login)).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await program.get("/api/v1/users/me", headers=bearer)).status_code == 200
        for page in ("list", "details/1", "export/json"):
            text = (await admin.get(f"/admin/api-token/{page}")).text
            assert superuser.email in text or page == "export/json"
            assert "token_hash" not in text
            assert token not in text
        await admin.post("/admin/api-token/delete?pks=1", data={"confirmed": "yes"})
        assert (await program.get("/api/v1/users/me", headers=bearer)).status_code == 401


@pytest.mark.database("postgresql")
async def test_concurrent_demotions_leave_one_superuser(app: FastAPI, superuser: User) -> None:
    colleague = await make_user(app.state.database, "other@example.com", is_superuser=True)
    async with signed_in_client(app, superuser) as client, signed_in_client(app, colleague) as colleague_client:
        responses = await asyncio.gather(
            client.post(f"/admin/user/edit/{colleague.id}", data={"email": colleague.email, "is_active": "y"}),
            colleague_client.post(
                f"/admin/user/edit/{superuser.id}", data={"email": superuser.email, "is_active": "y"}
            ),
        )
    assert 303 in {response.status_code for response in responses}
    assert [(await reload_user(app.state.database, user)).is_superuser for user in (superuser, colleague)].count(
        True
    ) == 1
