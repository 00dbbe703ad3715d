"""Columns of a list: their selection and order in the address, and the control that sets them."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.testing.factories import add_permission, signed_in_client
from tests.opportune.admin.gadget_feature import Gadget, GadgetAdmin, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import make_staff

LIST = "/admin/gadget/list"
app = site_fixture(gadgets, lambda: [*make_makers(), Gadget(name="gadget", maker_id=1, spare_id=2, story="long")])


async def choose(client: AsyncClient, query: str = "", **form: object) -> str:
    response = await client.post(f"/admin/gadget/columns{query}", data=form)
    assert response.status_code == 303
    return str(response.headers["location"])


async def test_list_has_the_requested_columns_but_no_others(admin: AsyncClient) -> None:
    page = (await admin.get(f"{LIST}?columns=size,spare_id,name")).text
    headings = re.findall(r"<th[^>]*>\s*(?:<a[^>]*>)?([^<]+?)\s*<", page)
    assert [text for text in headings if text.strip()] == ["Size", "Spare", "Name"]
    assert "100% Ltd" in page
    for name in ("story", "api_key", "nothing", "maker.api_key", "maker", ""):
        response = await admin.get(f"{LIST}?columns=name,{name}")
        assert (response.status_code, f"has no column “{name}”." in response.text) == (422, True), name
    page = (await admin.get("/admin/maker/list")).text
    assert [text in page for text in ('value="name"', "api_key")] == [True, False]


async def test_form_sets_columns_and_keeps_filters(admin: AsyncClient) -> None:
    url = await choose(admin, "?size=1&page=3", column=["name", "size"], **{"place-size": "1", "place-name": "2"})
    assert url == f"{LIST}?size=1&columns=size%2Cname"
    assert await choose(admin, "?columns=name&size=1", reset="1") == f"{LIST}?size=1"


PLACES: tuple[tuple[dict[str, str], str], ...] = (
    ({"place-colour": "1"}, "colour,name,state,size"),
    ({"place-name": "3"}, "colour,state,name,size"),
    ({"place-size": "2"}, "name,size,colour,state"),
    ({"place-name": "x", "place-size": "99999999"}, "name,colour,state,size"),
)


async def test_typed_place_moves_a_column(admin: AsyncClient) -> None:
    names = ["name", "colour", "state", "size"]
    for places, order in PLACES:
        url = await choose(admin, f"?columns={','.join(names)}", column=names, **places)
        assert url == f"{LIST}?columns={order.replace(',', '%2C')}", places


async def test_form_without_columns_is_refused(admin: AsyncClient) -> None:
    assert await choose(admin, "?columns=name") == f"{LIST}?columns=name"
    assert "Select at least one column." in (await admin.get(LIST)).text


async def test_details_columns_need_the_permission(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "column_list", ("name",))
    user = await make_staff(app, "gadget.list")
    async with signed_in_client(app, user) as client:
        assert (await client.get(f"{LIST}?columns=size")).status_code == 422
        assert (await client.get(f"{LIST}?sortBy=size")).status_code == 422
        await add_permission(app.state.database, user, "gadget", "get")
        assert (await client.get(f"{LIST}?columns=size&sortBy=size")).status_code == 200
