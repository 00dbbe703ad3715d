"""The form with all rows on a page of a list, and cells of a spreadsheet that are pasted."""

from datetime import date
from decimal import Decimal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import delete
from sqlmodel import col

from opportune.accounts.models import User
from opportune.testing.factories import add_permission, signed_in_client
from tests.opportune.admin.editing.parts_feature import LIST, Part, edit_cell, form_fields, read_changes, read_part
from tests.opportune.admin.gadget_feature import Maker
from tests.opportune.stored_rows import add_rows, execute, get_row, make_staff

EDIT_PAGE = "/admin/part/edit-page"


async def open_rows(client: AsyncClient, query: str = "") -> dict[str, list[str]]:
    """Return the fields of the page as a browser would send them."""
    response = await client.get(f"{EDIT_PAGE}{query}")
    assert response.status_code == 200
    return form_fields(response.text)


async def test_changed_rows_are_saved_together(app: FastAPI, admin: AsyncClient) -> None:
    fields = await open_rows(admin)
    fields |= {"1-price": ["5"], "1-is_ready": ["true"], "2-state": ["used"], "2-maker_id": ["2"]}
    assert (await admin.post(f"{EDIT_PAGE}?search=t", data=fields)).headers["location"] == f"{LIST}?search=t"
    assert "Changed 2 parts." in (await admin.get(LIST)).text
    bolt, nut, sealed = [await read_part(app, pk) for pk in (1, 2, 3)]
    assert (bolt.price, bolt.is_ready, nut.state, nut.maker_id) == (Decimal(5), True, "used", 2)
    assert [bolt.saves, nut.saves, sealed.saves] == [1, 1, 0], "unchanged rows are not saved"
    assert [len(await read_changes(app, pk)) for pk in (1, 2, 3)] == [1, 1, 0]


async def test_one_refused_row_keeps_all_unsaved(app: FastAPI, admin: AsyncClient) -> None:
    fields = await open_rows(admin)
    for text, message in (("nut", "This value is already in use."), ("cursed", "bad luck"), ("", "required")):
        response = await admin.post(EDIT_PAGE, data=fields | {"1-name": [text], "2-price": ["7"]})
        assert response.status_code == 422, text
        assert message in response.text, text
        assert form_fields(response.text)["1-name"] == [text], text
        assert form_fields(response.text)["2-price"] == ["7"], text
        assert (await read_part(app, 2)).price == 1, text


async def test_untouched_cells_keep_changes_of_others(app: FastAPI, admin: AsyncClient) -> None:
    fields = await open_rows(admin)
    await edit_cell(admin, "price", "8")
    await admin.post(EDIT_PAGE, data=fields | {"1-name": ["screw"]})
    part = await read_part(app)
    assert (part.name, part.price) == ("screw", Decimal(8))


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


async def test_empty_and_too_large_forms_are_refused(admin: AsyncClient) -> None:
    for data in ({}, {"pk": [str(number) for number in range(1, 102)]}):
        assert (await admin.post(EDIT_PAGE, data=data)).headers["location"] == LIST, data


async def paste(client: AsyncClient, column: str, text: str, pks: tuple[str, ...] = ("1", "2")) -> Response:
    return await client.post(EDIT_PAGE, data={"pk": list(pks), "column": column, "paste": text})


async def test_cells_fill_rows_and_columns(app: FastAPI, admin: AsyncClient) -> None:
    text = "100% Ltd\tused\t1,234.50\tNo\t2026-11-20\r\nAcme\tNew\t2\tYES\t\r\n"
    assert (await paste(admin, "maker_id", text)).status_code == 303
    assert "Changed 2 parts." in (await admin.get(LIST)).text
    bolt, nut = [await read_part(app, pk) for pk in (1, 2)]
    assert (bolt.maker_id, bolt.state, bolt.price, bolt.due_on) == (2, "used", Decimal("1234.50"), date(2026, 11, 20))
    assert (nut.maker_id, nut.price, nut.is_ready, nut.due_on) == (1, Decimal(2), True, None)


async def test_empty_cells_clear_values(app: FastAPI, admin: AsyncClient) -> None:
    for text, days in (("2026-01-01\n2026-01-02", [1, 2]), ("\n2026-01-03", [0, 3]), ("2026-01-04\n\n", [4, 0])):
        assert (await paste(admin, "due_on", text)).status_code == 303, text
        dates = [(await read_part(app, pk)).due_on for pk in (1, 2)]
        assert [day.day if day else 0 for day in dates] == days, text


@pytest.mark.database("sqlite", "postgresql")
async def test_exact_name_precedes_others_and_keys(app: FastAPI, admin: AsyncClient) -> None:
    names = [*(f"Ada {number}" for number in range(12)), "Ada", "2", "3", "3"]
    await add_rows(app, *(Maker(name=name) for name in names))
    assert (await paste(admin, "maker_id", "Ada\n2")).status_code == 303
    ids = [(await read_part(app, pk)).maker_id for pk in (1, 2)]
    assert [(await get_row(app, Maker, id_)).name for id_ in ids] == ["Ada", "2"]
    for text in ("3", "\0"):
        assert "Several rows or none" in (await paste(admin, "maker_id", text)).text


async def test_cells_that_do_not_fit_change_nothing(app: FastAPI, admin: AsyncClient) -> None:
    for text, message in (
        ("1\t2\t3\t4\t5\t6\t7\t8\t9", "(1 by 9)"),
        ("1\n2\n3", "(3 by 1)"),
        ("", "Nothing was changed"),
        ("1\tYes\t\t\t\t9", "Saves cannot be edited here"),
    ):
        assert (await paste(admin, "price", text)).status_code == 303, message
        assert message in (await admin.get(LIST)).text, message
        assert (await read_part(app)).price == 1, message


async def test_errors_in_many_cells_are_beside_them(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, *(Part(id=number, name=f"part {number}", maker_id=1) for number in range(10, 40)))
    lines = [f"item {number}\tAcme\tnew\t{number}\tno" for number in range(30)]
    lines[10] = "item 10\tNobody\tnew\t1\tno"
    lines[20] = "item 20\tAcme\tnew\tmany\tno"
    pks = tuple(map(str, range(10, 40)))
    page = await paste(admin, "name", "\n".join(lines), pks)
    assert page.status_code == 422
    assert page.text.count('<div class="invalid-feedback') == 2
    assert '<a class="alert-link text-break" href="#30-price">part 30: Price</a>' in page.text
    assert "Several rows or none have the name “Nobody”." in page.text
    fields = form_fields(page.text)
    assert (fields["30-price"], fields["11-name"], fields["11-price"]) == (["many"], ["item 1"], ["1"])
    assert (await read_part(app, 11)).name == "part 11", "nothing is half-saved"
    corrected = await admin.post(EDIT_PAGE, data=fields | {"20-maker_id": ["2"], "30-price": ["9"]})
    assert corrected.status_code == 303
    assert ((await read_part(app, 30)).price, (await read_part(app, 20)).maker_id) == (Decimal(9), 2)


async def test_titles_of_unlisted_rows_are_not_told_apart(app: FastAPI) -> None:
    staff = await make_staff(app, "part.list", "part.update", "part.get")
    async with signed_in_client(app, staff) as client:
        for maker in ("Acme", "Nobody"):
            page = await paste(client, "maker_id", maker)
            assert f"Several rows or none have the name “{maker}”." in page.text


async def test_toggle_sets_the_value_that_the_user_wants(app: FastAPI, admin: AsyncClient) -> None:
    assert 'role="switch" aria-checked="false" data-value="yes"' in (await admin.get(LIST)).text
    for _ in range(2):
        response = await admin.post("/admin/part/cell/is_ready/1", data={"toggle": "yes"})
        assert response.status_code == 200
        assert (await read_part(app)).is_ready
    assert 'data-value="no"' in response.text
    assert (await admin.post("/admin/part/cell/price/1", data={"toggle": "yes"})).status_code == 404
    assert (await admin.post("/admin/part/cell/is_ready/99", data={"toggle": "yes"})).status_code == 404


async def test_deleted_row_stops_the_others(app: FastAPI, admin: AsyncClient) -> None:
    fields = await open_rows(admin)
    await execute(app, delete(Part).where(col(Part.id) == 1))
    response = await admin.post(EDIT_PAGE, data=fields | {"2-price": ["7"]})
    assert response.text.count("Another user has deleted this row.") == 1
    assert (await read_part(app, 2)).price == 1
