"""Saved views of lists: private and shared, pinned, default, and after a column was removed."""

import asyncio
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, select, update
from sqlmodel import col

from opportune.accounts.models import Group, Membership, User
from opportune.admin.models import DefaultView, SavedView
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import Gadget, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import execute, make_staff, read_all, read_one

LIST = "/admin/gadget/list"
ADD = "/admin/gadget/views/add"


app = site_fixture(
    gadgets, lambda: [*make_makers(), *(Gadget(name=f"gadget {size}", maker_id=1, size=size) for size in (1, 2, 3))]
)


@pytest.fixture(autouse=True)
async def group(app: FastAPI, staff: User) -> Group:
    return await add_permission(app.state.database, staff, "gadget", "list")


async def save(client: AsyncClient, query: str = "search=gadget", **details: Any) -> Response:
    return await client.post(f"{ADD}?{query}", data={"name": "Mine", **details})


async def only_view(app: FastAPI) -> SavedView:
    view: SavedView = await read_one(app, select(SavedView))
    return view


async def follow(client: AsyncClient, response: Response) -> str:
    """Return the page behind the redirects of a response."""
    while response.is_redirect:
        response = await client.get(response.headers["location"])
    assert response.status_code == 200
    return unescape(response.text)


async def test_saved_view_opens_the_same_state(app: FastAPI, admin: AsyncClient) -> None:
    state = "search=gadget&size__lte=1&sortBy=name&sort=desc&columns=name%2Csize&pageSize=50"
    response = await save(admin, f"{state}&page=1")
    view = await only_view(app)
    assert response.headers["location"] == f"{LIST}?{state}&view={view.id}"
    page = await follow(admin, response)
    assert [text in page for text in ("The view “Mine” was saved.", "gadget 1", "gadget 3")] == [True, True, False]


async def test_private_view_of_others_is_not_found(app: FastAPI, admin: AsyncClient, staff_client: AsyncClient) -> None:
    await save(admin)
    url = f"/admin/gadget/views/{(await only_view(app)).id}"
    for path in ("", "/edit"):
        assert (await staff_client.get(url + path)).status_code == 404, path
    for path in ("/update", "/delete", "/default"):
        assert (await staff_client.post(url + path)).status_code == 404, path
    assert (await staff_client.get("/admin/gadget/views/9999999999999999999999")).status_code == 404


async def test_members_open_the_view(app: FastAPI, admin: AsyncClient, staff_client: AsyncClient, group: Group) -> None:
    await save(admin, group_id=group.id, is_pinned="on")
    url = f"/admin/gadget/views/{(await only_view(app)).id}"
    assert (await staff_client.get(url)).headers["location"].startswith(f"{LIST}?search=gadget&view=")
    assert "Mine" in (await staff_client.get("/admin/")).text
    for path in ("/update", "/delete"):
        assert (await staff_client.post(url + path)).status_code == 403, path


async def test_members_share_only_with_their_groups(app: FastAPI, staff_client: AsyncClient, group: Group) -> None:
    other = await add_permission(app.state.database, await make_user(app.state.database), "gadget", "list")
    page = (await staff_client.get(f"{ADD}?search=a")).text
    assert group.name in page
    assert other.name not in page
    assert (await save(staff_client, group_id=other.id)).status_code == 422
    assert (await save(staff_client, group_id=group.id)).status_code == 303


async def test_former_members_lose_a_shared_view(
    app: FastAPI, admin: AsyncClient, staff_client: AsyncClient, group: Group, staff: User
) -> None:
    await add_permission(app.state.database, staff, "gadget", "list")
    await save(admin, group_id=group.id)
    await execute(app, delete(Membership).where(col(Membership.group_id) == group.id))
    view_id = (await only_view(app)).id
    for path, status in ((f"views/{view_id}", 404), (f"list?view={view_id}", 200)):
        response = await staff_client.get(f"/admin/gadget/{path}")
        assert (response.status_code, "no longer shared with you." in response.text) == (status, True), path
    await execute(app, delete(Group).where(col(Group.id) == group.id))
    assert (await only_view(app)).group_id is None


async def test_default_view_opens_without_parameters(app: FastAPI, admin: AsyncClient) -> None:
    await save(admin)
    view_id = (await only_view(app)).id
    page = await follow(admin, await admin.post(f"/admin/gadget/views/{view_id}/default"))
    assert "Gadgets now open with “Mine”." in page
    assert (await admin.get(LIST)).headers["location"] == f"{LIST}?search=gadget&view={view_id}"
    assert f'href="{LIST}?view=plain"' in page
    assert (await admin.get(f"{LIST}?view=plain")).status_code == 200
    assert (await admin.get(f"{LIST}?search=&size__gte=")).headers["location"] == f"{LIST}?view=plain"
    await admin.post(f"/admin/gadget/views/{view_id}/default")
    assert (await admin.get(LIST)).status_code == 200
    for name in ("First", "Second"):
        view_id = int((await save(admin, name=name)).headers["location"].rpartition("=")[2])
        await admin.post(f"/admin/gadget/views/{view_id}/default")
    assert (await read_one(app, select(DefaultView))).view_id == view_id


async def test_view_is_renamed_updated_and_deleted(app: FastAPI, admin: AsyncClient) -> None:
    await save(admin)
    url = f"/admin/gadget/views/{(await only_view(app)).id}"
    await admin.post(f"{url}/edit", data={"name": "Renamed", "is_pinned": "on"})
    await admin.post(f"{url}/update?size=1")
    view = await only_view(app)
    assert (view.name, view.query, view.is_pinned) == ("Renamed", "size=1", True)
    assert "The view “Renamed” was deleted." in await follow(admin, await admin.post(f"{url}/delete"))
    assert (await admin.get(url)).status_code == 404


async def test_view_can_be_changed_twice_at_the_same_time(app: FastAPI, admin: AsyncClient) -> None:
    for action in ("delete", "update?size=1", "default"):
        await save(admin)
        url = f"/admin/gadget/views/{(await only_view(app)).id}"
        requests = (admin.post(f"{url}/{path}") for path in ("delete", action))
        statuses = [response.status_code for response in await asyncio.gather(*requests)]
        assert 303 in statuses
        assert {*statuses} <= {303, 404, 409}, action


async def test_duplicate_and_long_names_are_refused(app: FastAPI, admin: AsyncClient) -> None:
    await save(admin)
    for name, message in (
        ("Mine", "You already have a view with this name."),
        ("x" * 61, "Please enter at most 60 characters."),
        (" ", "Please fill this in."),
    ):
        response = await save(admin, name=name)
        assert (response.status_code, message in response.text) == (422, True), name
    await only_view(app)
    page = await follow(admin, await admin.get(f"{ADD}?search={'x' * 4001}"))
    assert "This list has too many filters to save." in page


async def test_removed_columns_and_filters_are_named(app: FastAPI, admin: AsyncClient) -> None:
    await save(admin)
    query = "columns=name%2Cheight&height__lte=3&sortBy=age&sortBy=name&sort=up&size=2&pageSize=x"
    await execute(app, update(SavedView).values(query=query))
    page = await follow(admin, await admin.get(f"/admin/gadget/views/{(await only_view(app)).id}"))
    assert "“Mine” was opened without the column Height, the filter Height, the order by Age" in page
    assert [text in page for text in ("gadget 2", "gadget 3")] == [True, False]


async def test_views_need_the_permission_to_list(app: FastAPI, admin: AsyncClient, user_client: AsyncClient) -> None:
    user = await make_staff(app, "maker.list")
    async with signed_in_client(app, user) as client:
        assert (await client.get(ADD)).status_code == 403
        assert (await client.post("/admin/gadget/columns")).status_code == 403
    assert (await user_client.get(ADD)).status_code == 403


async def test_deletion_of_the_user_deletes_views(app: FastAPI, staff_client: AsyncClient, staff: User) -> None:
    await save(staff_client)
    await staff_client.post(f"/admin/gadget/views/{(await only_view(app)).id}/default")
    await execute(app, delete(User).where(col(User.id) == staff.id))
    assert not await read_all(app, select(SavedView))
    assert not await read_all(app, select(DefaultView))


async def test_number_of_views_is_limited(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.saved_views.pages.MAX_VIEWS_PER_USER", 1)
    await save(admin)
    assert (await save(admin, name="Second")).headers["location"] == f"{LIST}?search=gadget"
