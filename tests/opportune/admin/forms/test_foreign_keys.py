"""Foreign keys to rows that the user may not list: titles are shown for stored values only."""

from collections.abc import AsyncIterator
from html import unescape

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import Group, User
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import (
    GADGET_FORM,
    Gadget,
    GadgetAdmin,
    Maker,
    MakerAdmin,
    gadgets,
    make_makers,
)
from tests.opportune.contrib.import_export.import_steps import upload_file
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, read_all, read_one, set_permissions

SECRET_TITLE, STORED_TITLE = "Secret Maker", "Acme"
MAY_NOT_CHOOSE_MESSAGE = "You may not list these rows, so you cannot choose another one."
app = site_fixture(gadgets, lambda: [*make_makers(), Gadget(name="Anvil", maker_id=1), Maker(name=SECRET_TITLE)])
"""Site with a gadget of the first maker; the third maker has no gadgets."""


@pytest.fixture
async def group(app: FastAPI) -> Group:
    """Group with all permissions on gadgets and none on makers."""
    staff = await make_user(app.state.database, "staff@example.com", is_staff=True)
    return await add_permission(app.state.database, staff, "gadget", "*")


@pytest.fixture
async def staff(app: FastAPI, group: Group) -> AsyncIterator[AsyncClient]:
    user = await read_one(app, select(User).where(col(User.email) == "staff@example.com"))
    async with signed_in_client(app, user) as client:
        yield client


async def read_maker_ids(app: FastAPI) -> list[int]:
    return await read_all(app, select(col(Gadget.maker_id)).order_by(col(Gadget.id)))


async def send_file(client: AsyncClient, maker_id: int) -> str:
    row = f"name,maker_id,colour,state,size\nFile,{maker_id},red,new,1\n"
    return unescape((await upload_file(client, "/admin/gadget/import", row)).text)


async def test_titles_of_unlisted_rows_are_not_revealed(staff: AsyncClient, app: FastAPI) -> None:
    response = await staff.get("/admin/gadget/ajax/lookup?name=maker_id&term=Secret")
    assert response.status_code == 403
    assert SECRET_TITLE not in response.text
    form = (await staff.get("/admin/gadget/edit/1")).text
    assert f'<option value="1" selected>{STORED_TITLE}</option>' in form
    assert "<row-picker" not in form
    for page in (
        await staff.get("/admin/gadget/create?maker_id=3&spare_id=3"),
        await staff.post("/admin/gadget/edit/1", data=GADGET_FORM | {"maker_id": "3", "name": ""}),
        await staff.post("/admin/gadget/create", data=GADGET_FORM | {"maker_id": "3", "name": ""}),
        await staff.get("/admin/gadget/list?maker_id=3"),
    ):
        assert SECRET_TITLE not in page.text
        assert '<option value="3" selected>3</option>' in page.text
    for maker_id in (3, 999):  # the same response for existing and missing rows
        form_data = GADGET_FORM | {"maker_id": str(maker_id), "name": "Other"}
        for url in ("/admin/gadget/edit/1", "/admin/gadget/create"):
            response = await staff.post(url, data=form_data)
            assert response.status_code == 400
            assert MAY_NOT_CHOOSE_MESSAGE in response.text.split('id="error-maker_id">')[1].split("</div>")[0]
        assert f"Line 2: Maker: {MAY_NOT_CHOOSE_MESSAGE}" in await send_file(staff, maker_id)
    assert await read_maker_ids(app) == [1]
    assert (await staff.post("/admin/gadget/edit/1", data=GADGET_FORM | {"size": "7"})).status_code == 303
    assert await read_maker_ids(app) == [1]


async def test_choosing_needs_details_and_searching_needs_list(app: FastAPI, group: Group, staff: AsyncClient) -> None:
    await set_permissions(app, group, "gadget.*", "maker.get")
    page = (await staff.get("/admin/gadget/create?maker_id=3")).text
    assert f'<option value="3" selected>{SECRET_TITLE}</option>' in page
    assert "<row-picker" not in page
    assert (await staff.post("/admin/gadget/edit/1", data=GADGET_FORM | {"maker_id": "3"})).status_code == 303
    assert await read_maker_ids(app) == [3]
    await set_permissions(app, group, "gadget.*", "maker.list")
    assert "<row-picker" in (await staff.get("/admin/gadget/edit/1")).text
    results = (await staff.get("/admin/gadget/ajax/lookup?name=maker_id&term=Secret")).json()["results"]
    assert results == [{"id": "3", "text": SECRET_TITLE}]


async def test_rows_outside_list_query_cannot_be_chosen(
    app: FastAPI, group: Group, staff: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MakerAdmin, "list_query", lambda *_: select(Maker).where(col(Maker.id) != 3))
    await set_permissions(app, group, "gadget.*", "maker.*")
    for page in ("create?maker_id=3", "list?maker_id=3", "ajax/lookup?name=maker_id&term=Secret"):
        assert SECRET_TITLE not in (await staff.get(f"/admin/gadget/{page}")).text, page
    for number in (3, 999):
        response = await staff.post("/admin/gadget/edit/1", data=GADGET_FORM | {"maker_id": str(number)})
        assert (response.status_code, "The selected entry no longer exists" in response.text) == (400, True)
        assert "The selected entry no longer exists" in await send_file(staff, number)
    assert await read_maker_ids(app) == [1]


async def test_actions_without_list_permission_show_only_ids(app: FastAPI, group: Group, staff: AsyncClient) -> None:
    user = await make_user(app.state.database, "telltale@example.com")
    await set_permissions(app, group, "user.action:sign-out", "maker.delete", "user.delete")
    for url, number, name in (
        (f"user/action/sign-out?pks={user.id}", f"User {user.id}", user.email),
        (f"user/delete?pks={user.id}", f"User {user.id}", user.email),
        ("maker/delete?pks=3", "Maker 3", SECRET_TITLE),
    ):
        page = (await staff.post(f"/admin/{url}")).text
        assert number in page, url
        assert name not in page, url
    response = await staff.post(f"/admin/user/action/sign-out?pks={user.id}", data={"confirmed": "yes"})
    assert response.status_code == 303
    dashboard = (await staff.get("/admin/")).text
    assert f"User {user.id}: signed out" in dashboard
    assert user.email not in dashboard
    for url in ("user/action/sign-out?search=telltale", "maker/delete?search=Secret"):
        assert (await staff.post(f"/admin/{url}", data={"all": "1"})).status_code == 403
    await set_permissions(app, group, "audit-entry.list", "gadget.get", "maker.list")
    page = (await staff.get("/admin/audit-entry/list")).text
    assert [f'value="{name}"' in page for name in ("gadget", "maker")] == [True, False]


async def test_deletion_names_listed_rows(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await add_rows(app, Gadget(name="Hidden gadget", maker_id=1))
    listed = select(Gadget).where(col(Gadget.name) != "Hidden gadget")
    monkeypatch.setattr(GadgetAdmin, "list_query", lambda *_: listed)
    page = (await admin.get("/admin/maker/delete?pks=1")).text
    assert [text in page for text in ("2 gadgets", "Gadget 1", "Gadget 2")] == [True, True, False]
