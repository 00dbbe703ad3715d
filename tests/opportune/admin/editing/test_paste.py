"""Cells of a spreadsheet that are pasted into a list."""

from datetime import date
from decimal import Decimal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response

from tests.opportune.admin.editing.pages import LIST, form_fields, read_part
from tests.opportune.admin.editing.parts_feature import Part
from tests.opportune.stored_rows import add_rows

URL = "/admin/part/edit-page"


async def paste(client: AsyncClient, column: str, text: str, pks: tuple[str, ...] = ("1", "2")) -> Response:
    return await client.post(URL, data={"pk": list(pks), "column": column, "paste": text})


@pytest.mark.database("sqlite", "postgresql")
async def test_cells_fill_rows_and_columns(app: FastAPI, admin: AsyncClient) -> None:
    text = "100% Ltd\tused\t1,234.50\tNo\t2026-11-20\r\nAcme\tNew\t2\tYES\t\r\n"
    assert (await paste(admin, "maker_id", text)).status_code == 303
    assert "Changed 2 Parts." in (await admin.get(LIST)).text
    bolt, nut = [await read_part(app, pk) for pk in (1, 2)]
    assert (bolt.maker_id, bolt.state, bolt.price, bolt.due_on) == (2, "used", Decimal("1234.50"), date(2026, 11, 20))
    assert (nut.maker_id, nut.price, nut.is_ready, nut.due_on) == (1, Decimal(2), True, None)


async def test_quoted_cells_keep_line_breaks_out_of_rows(app: FastAPI, admin: AsyncClient) -> None:
    assert (await paste(admin, "name", '"a ""big"" bolt"\n"nut"', ("1", "2"))).status_code == 303
    assert (await read_part(app)).name == 'a "big" bolt'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t2\t3\t4\t5\t6\t7\t8\t9", "1 rows with 9 columns"),
        ("1\n2\n3", "3 rows with 1 columns"),
        ("", "Nothing was changed"),
        ("1\tYes\t\t\t\t9", "Saves cannot be edited here"),
    ],
)
async def test_cells_that_do_not_fit_change_nothing(app: FastAPI, admin: AsyncClient, text: str, message: str) -> None:
    assert (await paste(admin, "price", text)).status_code == 303
    assert message in (await admin.get(LIST)).text
    assert (await read_part(app)).price == 1


async def test_errors_in_many_cells_are_beside_them(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, *(Part(id=number, name=f"part {number}", maker_id=1) for number in range(10, 40)))
    lines = [f"item {number}\tAcme\tnew\t{number}\tno" for number in range(30)]
    lines[10] = "item 10\tNobody\tnew\t1\tno"
    lines[20] = "item 20\tAcme\tnew\tmany\tno"
    pks = tuple(map(str, range(10, 40)))
    page = await paste(admin, "name", "\n".join(lines), pks)
    assert page.status_code == 422
    assert page.text.count('<div class="invalid-feedback') == 2
    assert "Several rows or none have the name “Nobody”." in page.text
    fields = form_fields(page.text)
    assert (fields["30-price"], fields["11-name"], fields["11-price"]) == (["many"], ["item 1"], ["1"])
    assert (await read_part(app, 11)).name == "part 11", "nothing is half-saved"
    corrected = await admin.post(URL, data=fields | {"20-maker_id": ["2"], "30-price": ["9"]})
    assert corrected.status_code == 303
    assert ((await read_part(app, 30)).price, (await read_part(app, 20)).maker_id) == (Decimal(9), 2)


async def test_pasted_yes_stays_checked_beside_an_error(admin: AsyncClient) -> None:
    page = await paste(admin, "price", "many\tYES")
    assert form_fields(page.text)["1-is_ready"] == ["true"]


async def test_toggle_sets_the_value_that_the_user_wants(app: FastAPI, admin: AsyncClient) -> None:
    assert 'role="switch" aria-checked="false" data-value="yes"' in (await admin.get(LIST)).text
    for _ in range(2):
        response = await admin.post("/admin/part/cell/is_ready/1", data={"toggle": "yes"})
        assert response.status_code == 200
        assert (await read_part(app)).is_ready
    assert 'data-value="no"' in response.text
    assert (await admin.post("/admin/part/cell/price/1", data={"toggle": "yes"})).status_code == 404
    assert (await admin.post("/admin/part/cell/is_ready/99", data={"toggle": "yes"})).status_code == 404
