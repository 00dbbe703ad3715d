"""The form with all rows on a page of a list."""

from decimal import Decimal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete
from sqlmodel import col

from opportune.accounts.models import User
from opportune.testing.factories import add_permission, signed_in_client
from tests.opportune.admin.editing.pages import LIST, edit_cell, form_fields, read_changes, read_part
from tests.opportune.admin.editing.parts_feature import Part
from tests.opportune.stored_rows import execute, make_staff

EDIT_PAGE = "/admin/part/edit-page"


async def open_rows(client: AsyncClient, query: str = "") -> dict[str, list[str]]:
    """Return the fields of the page as a browser would send them."""
    response = await client.get(f"{EDIT_PAGE}{query}")
    assert response.status_code == 200
    return form_fields(response.text)


async def test_list_links_to_the_form_of_its_page(admin: AsyncClient) -> None:
    assert f'href="{EDIT_PAGE}?search=bolt"' in (await admin.get(f"{LIST}?search=bolt")).text
    fields = await open_rows(admin, "?search=bolt")
    assert fields["pk"] == ["1"]


@pytest.mark.database("sqlite", "postgresql")
async def test_changed_rows_are_saved_together(app: FastAPI, admin: AsyncClient) -> None:
    fields = await open_rows(admin)
    fields |= {"1-price": ["5"], "1-is_ready": ["true"], "2-state": ["used"], "2-maker_id": ["2"]}
    response = await admin.post(f"{EDIT_PAGE}?search=t", data=fields)
    assert response.headers["location"] == f"{LIST}?search=t"
    assert "Changed 2 Parts." in (await admin.get(LIST)).text
    bolt, nut, sealed = [await read_part(app, pk) for pk in (1, 2, 3)]
    assert (bolt.price, bolt.is_ready, nut.state, nut.maker_id) == (Decimal(5), True, "used", 2)
    assert [bolt.saves, nut.saves, sealed.saves] == [1, 1, 0], "unchanged rows are not saved"
    assert [len(await read_changes(app, pk)) for pk in (1, 2, 3)] == [1, 1, 0]


@pytest.mark.parametrize(
    ("text", "message"), [("nut", "This value is already in use."), ("cursed", "bad luck"), ("", "required")]
)
async def test_one_refused_row_keeps_all_unsaved(app: FastAPI, admin: AsyncClient, text: str, message: str) -> None:
    fields = await open_rows(admin)
    response = await admin.post(EDIT_PAGE, data=fields | {"1-name": [text], "2-price": ["7"]})
    assert response.status_code == 422
    assert message in response.text
    assert form_fields(response.text)["1-name"] == [text]
    assert form_fields(response.text)["2-price"] == ["7"]
    assert (await read_part(app, 2)).price == 1


async def test_untouched_cells_keep_changes_of_others(app: FastAPI, admin: AsyncClient) -> None:
    fields = await open_rows(admin)
    await edit_cell(admin, "price", "8")
    await admin.post(EDIT_PAGE, data=fields | {"1-name": ["screw"]})
    part = await read_part(app)
    assert (part.name, part.price) == ("screw", Decimal(8))


@pytest.mark.database("sqlite", "postgresql")
async def test_conflict_names_the_other_user(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    fields = await open_rows(admin)
    await edit_cell(admin, "price", "8")
    response = await admin.post(EDIT_PAGE, data=fields | {"1-price": ["9"]})
    assert response.status_code == 422
    assert f"{superuser.email} has changed this to “8.00”. Save again to replace it." in response.text
    again = form_fields(response.text)
    assert again["1-price"] == ["9"]
    assert (await admin.post(EDIT_PAGE, data=again)).status_code == 303
    assert (await read_part(app)).price == 9


async def test_deleted_row_stops_the_others(app: FastAPI, admin: AsyncClient) -> None:
    fields = await open_rows(admin)
    await execute(app, delete(Part).where(col(Part.id) == 1))
    response = await admin.post(EDIT_PAGE, data=fields | {"2-price": ["7"]})
    assert response.text.count("Another user has deleted this row.") == 1
    assert (await read_part(app, 2)).price == 1


async def test_rows_and_columns_need_their_permission(app: FastAPI) -> None:
    staff = await make_staff(app)
    for model in ("part", "maker"):
        await add_permission(app.state.database, staff, model, "list")
    async with signed_in_client(app, staff) as browser:
        assert EDIT_PAGE not in (await browser.get(LIST)).text
        assert (await browser.get(EDIT_PAGE)).status_code == 403
        assert (await browser.post(EDIT_PAGE, data={"pk": "1"})).status_code == 403
        await add_permission(app.state.database, staff, "part", "update")
        fields = await open_rows(browser)
        assert {"1-price", "3-state"}.isdisjoint(fields)
        forged = fields | {"1-(seen)": ["price:0"], "1-price": ["9"], "3-(seen)": ["state:0"], "3-state": ["used"]}
        response = await browser.post(EDIT_PAGE, data=forged)
        assert response.status_code == 422
        assert "Price: This cannot be changed." in response.text
        assert "You may not change this row." in response.text
    assert (await read_part(app)).price == 1


async def test_list_without_editable_columns_has_no_form(admin: AsyncClient) -> None:
    assert (await admin.get("/admin/maker/edit-page")).status_code == 404
    assert "edit-page" not in (await admin.get("/admin/maker/list")).text


async def test_empty_and_too_large_forms_are_refused(admin: AsyncClient) -> None:
    for data in ({}, {"pk": [str(number) for number in range(1, 102)]}):
        assert (await admin.post(EDIT_PAGE, data=data)).headers["location"] == LIST
