"""Arrangement of the dashboard by superusers and by members of groups."""

import re
from dataclasses import replace

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete, select
from sqlmodel import col

from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.admin.models import AuditEntry, DashboardLayout
from opportune.feature import Number
from opportune.testing import counted_statements, signed_in_client
from tests.opportune.admin.gadget_feature import Gadget, Maker, gadgets
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, count, execute, make_staff, read_one, set_permissions

URL = "/admin/arrange-overview"
WIDGETS = [Number("One", Gadget), Number("Two", Gadget), Number("Makers", Maker)]
KEYS = [f"gadgets:{widget.label}" for widget in WIDGETS]


app = site_fixture(replace(gadgets, admin=replace(gadgets.admin, metrics=WIDGETS)))


@pytest.fixture
async def staff(app: FastAPI) -> User:
    """Staff in two groups, of which Readers may list gadgets and arrange the page."""
    user = await make_staff(app)
    for name, permissions in {"Readers": ["gadget.list", "arrange-overview.list"], "Buyers": ["maker.list"]}.items():
        await add_rows(app, group := Group(name=name))
        await add_rows(app, Membership(user_id=user.id, group_id=group.id))
        await set_permissions(app, group, *permissions)
    return user


@pytest.fixture
async def readers(app: FastAPI, staff: User) -> int:
    """Id of the group Readers."""
    return int(await read_one(app, select(col(Group.id)).where(col(Group.name) == "Readers")))


def shown_labels(page: str) -> list[str]:
    return [match[1] for match in re.finditer(r'list">(\w+)</a></h2>', page)]


async def arrange(client: AsyncClient, group: object, order: list[str], shown: list[str], **button: str) -> int:
    data = {"order": order, "shown": shown, **button}
    return (await client.post(URL, params={"group": str(group)}, data=data)).status_code


async def test_superuser_arranges_the_overview(app: FastAPI, admin: AsyncClient) -> None:
    assert shown_labels((await admin.get("/admin/?complete=1")).text)[:3] == ["One", "Two", "Makers"]
    assert await arrange(admin, "overview", [KEYS[2], KEYS[1], KEYS[0]], [KEYS[2], KEYS[0]]) == 303
    page = (await admin.get("/admin/?complete=1")).text
    assert shown_labels(page) == ["Makers", "One"]
    assert "Health" not in page.partition("<main")[2], "sections are hidden like widgets"
    assert await read_one(app, select(col(AuditEntry.title)).where(col(AuditEntry.action) == "arrange"))


async def test_arrangement_of_a_group_is_shared_by_its_members(
    app: FastAPI, staff_client: AsyncClient, readers: int
) -> None:
    assert await arrange(staff_client, readers, [KEYS[1], KEYS[0]], [KEYS[1]]) == 303
    other = await make_staff(app)
    await add_rows(app, Membership(user_id=other.id, group_id=readers))
    async with signed_in_client(app, other) as other_client:
        assert shown_labels((await other_client.get("/admin/?complete=1")).text) == ["Two"]


async def test_hidden_parts_of_groups_stay(
    app: FastAPI, admin: AsyncClient, staff_client: AsyncClient, readers: int
) -> None:
    await execute(app, delete(GroupPermission).where(col(GroupPermission.identity) == "maker"))
    await arrange(admin, readers, [KEYS[2], KEYS[0], KEYS[1]], [KEYS[0], KEYS[1]])
    await arrange(staff_client, readers, [KEYS[1], KEYS[0], KEYS[2]], [*KEYS])
    page = (await admin.get("/admin/", params={"group": readers, "complete": 1})).text
    assert shown_labels(page) == ["Two", "One"], "Makers stay hidden"


async def test_arrow_moves_a_widget(staff_client: AsyncClient, readers: int) -> None:
    for move, labels in (
        ("down:gadgets:Two", ["One", "Two"]),
        ("up:gone", ["One", "Two"]),
        ("sideways:gadgets:Two", ["One", "Two"]),
        ("up:gadgets:Two", ["Two", "One"]),
    ):
        await arrange(staff_client, readers, KEYS[:2], KEYS[:2], move=move)
        page = (await staff_client.get("/admin/", params={"group": readers, "complete": 1})).text
        assert shown_labels(page)[:2] == labels, move


async def test_hidden_widget_runs_no_query(admin: AsyncClient) -> None:
    assert await arrange(admin, "overview", KEYS, [KEYS[0], "/recent"]) == 303
    with counted_statements("test_gadget", "test_maker", "jobs_job") as statements:
        assert shown_labels((await admin.get("/admin/?complete=1")).text) == ["One"]
    assert len(statements) == 1


async def test_members_without_the_permission_may_not_arrange(
    app: FastAPI, staff_client: AsyncClient, readers: int
) -> None:
    await execute(app, delete(GroupPermission).where(col(GroupPermission.identity) == "arrange-overview"))
    assert f'href="{URL}' not in (await staff_client.get("/admin/", params={"group": readers, "complete": 1})).text
    assert (await staff_client.get(URL, params={"group": readers, "complete": 1})).status_code == 403
    assert await arrange(staff_client, readers, KEYS, KEYS) == 403
    assert await count(app, DashboardLayout) == 0


async def test_pages_of_others_are_not_found(staff_client: AsyncClient) -> None:
    for group in ("overview", "999", "x"):
        assert (await staff_client.get("/admin/", params={"group": group})).status_code == 404, group
        assert (await staff_client.get(URL, params={"group": group})).status_code == 404, group
        assert await arrange(staff_client, group, KEYS, KEYS) == 404, group
