"""Changes to several rows: fields of all selected rows, and Undo, also of "Save all" and paste."""

from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, func, select, update
from sqlmodel import col

from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.editing import parts_feature as parts
from tests.opportune.admin.editing.parts_feature import LIST
from tests.opportune.stored_rows import add_rows, execute, make_staff, read_one

EDIT_SELECTED = "/admin/part/edit-selected"


async def preview(client: AsyncClient, pks: str, values: dict[str, str], query: str = "") -> Response:
    fields = {"pks": pks, "change": list(values), **{f"new-{name}": text for name, text in values.items()}}
    return await client.post(f"{EDIT_SELECTED}{query}", data={**fields, "preview": "yes"})


async def confirm(client: AsyncClient, page: Response, query: str = "") -> Response:
    return await client.post(f"{EDIT_SELECTED}{query}", data={**parts.form_fields(page.text), "confirmed": "yes"})


async def test_selected_rows_offer_their_common_fields(admin: AsyncClient) -> None:
    assert f'formaction="{EDIT_SELECTED}?search=t"' in (await admin.get(f"{LIST}?search=t")).text
    page = await admin.post(EDIT_SELECTED, data={"pk": ["1", "2"]})
    fields = parts.form_fields(page.text)
    assert fields["pks"] == ["1,2"]
    assert {name for name in fields if name.startswith("new-")} >= {"new-maker_id", "new-state", "new-price"}
    assert {"new-name", "new-saves"}.isdisjoint(fields), "unique and read-only columns"
    assert "Change 2 parts" in page.text
    assert " required" not in page.text.partition("<main")[2], "browsers accept empty unchecked fields"


async def test_preview_changes_nothing_until_confirmed(app: FastAPI, admin: AsyncClient) -> None:
    await execute(app, update(parts.Part).where(col(parts.Part.id) == 2).values(price=5))
    page = await preview(admin, "1,2", {"price": "5", "maker_id": "2"}, "?search=t")
    assert "2 of 2 rows change" in page.text
    for text in ("bolt", "1.00", "5", "Acme", "100% Ltd"):
        assert text in page.text
    assert await parts.read_changes(app) == []
    assert (await confirm(admin, page, "?search=t")).headers["location"] == f"{LIST}?search=t"
    assert "Changed 2 parts." in (await admin.get(LIST)).text
    for pk in (1, 2):
        part = await parts.read_part(app, pk)
        assert (part.price, part.maker_id, part.saves) == (Decimal(5), 2, 1)
    assert set((await parts.read_changes(app, 1))[0]) >= {"price", "maker_id"}
    assert (await parts.read_part(app, 3)).price == 1


async def test_unchecked_fields_keep_their_values(app: FastAPI, admin: AsyncClient) -> None:
    fields = {"pks": "1", "change": "state", "new-state": "used", "new-price": "9", "confirmed": "yes"}
    await admin.post(EDIT_SELECTED, data=fields)
    part = await parts.read_part(app)
    assert (part.state, part.price) == ("used", Decimal(1))


REFUSED_VALUES: tuple[tuple[dict[str, str], str], ...] = (
    ({"price": "cheap"}, "bolt: Price: Please enter a number"),
    ({"maker_id": "99"}, "no longer exists"),
    ({"state": "used", "is_ready": "true"}, "A used part is never ready."),
    ({}, "Choose at least one field"),
)


async def test_refused_values_change_no_row(app: FastAPI, admin: AsyncClient) -> None:
    for values, message in REFUSED_VALUES:
        page = await preview(admin, "1,2", values)
        if page.status_code == 200:
            page = await confirm(admin, page)
        assert page.status_code == 422, values
        assert message in page.text, values
        assert [await parts.read_changes(app, pk) for pk in (1, 2)] == [[], []], values


@pytest.mark.database("sqlite", "postgresql")
async def test_one_refused_row_keeps_all_unchanged(app: FastAPI, admin: AsyncClient) -> None:
    page = await preview(admin, "1,2", {"price": "5"})
    await execute(app, delete(parts.Part).where(col(parts.Part.id) == 3))
    await execute(app, update(parts.Part).where(col(parts.Part.id) == 2).values(name="sealed"))
    response = await confirm(admin, page)
    assert response.status_code == 422
    assert "sealed: You may not change this row." in response.text
    assert (await parts.read_part(app, 1)).price == 1


async def test_many_rows_change_in_batches(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.admin.editing.row_edits.MAX_ROWS_SAVED_SINGLY", 2)
    monkeypatch.setattr("opportune.admin.editing.row_edits.MAX_IDS_PER_QUERY", 5)
    await add_rows(app, *(parts.Part(id=number, name=f"part {number}", maker_id=1) for number in range(10, 22)))
    fields: dict[str, Any] = {"all": "1", "change": "maker_id", "new-maker_id": "2", "preview": "yes"}
    page = await admin.post(f"{EDIT_SELECTED}?search=part", data=fields)
    assert "12 of 12 rows change" in page.text
    assert "and 2 more." in page.text
    assert (await confirm(admin, page)).status_code == 303
    assert await read_one(app, select(func.count()).select_from(parts.Part).where(col(parts.Part.maker_id) == 2)) == 12


async def test_too_many_and_no_rows_are_refused(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.admin.lists.actions.MAX_ROWS_PER_ACTION", 2)
    for fields in ({"all": "1"}, {}, {"pks": "98,99"}):
        assert (await admin.post(EDIT_SELECTED, data=fields)).headers["location"] == LIST


async def test_selected_rows_need_their_permission(app: FastAPI) -> None:
    staff = await make_staff(app, "part.list")
    async with signed_in_client(app, staff) as browser:
        assert EDIT_SELECTED not in (await browser.get(LIST)).text
        assert (await preview(browser, "1", {"state": "used"})).status_code == 403
        await add_permission(app.state.database, staff, "part", "update")
        assert "new-price" not in (await browser.post(EDIT_SELECTED, data={"pk": "1"})).text
        forged = {"pks": "1", "change": ["price", "state"], "new-price": "9", "new-state": "used", "confirmed": "yes"}
        await browser.post(EDIT_SELECTED, data=forged)
    part = await parts.read_part(app)
    assert (part.price, part.state) == (Decimal(1), "used")


async def test_accounts_cannot_be_edited_together(admin: AsyncClient) -> None:
    assert (await admin.post("/admin/user/edit-selected", data={"pk": "1"})).status_code == 403


async def test_row_deleted_after_the_preview_is_named(app: FastAPI, admin: AsyncClient) -> None:
    page = await preview(admin, "1,2", {"price": "5"})
    await execute(app, delete(parts.Part).where(col(parts.Part.id) == 2))
    assert "2: Another user has deleted this row." in (await confirm(admin, page)).text
    assert (await parts.read_part(app, 1)).price == 1


async def change_prices(client: AsyncClient) -> str:
    """Change three rows together, and return the address of Undo."""
    fields = {"pks": "1,2", "change": ["price", "state"], "new-price": "7.50", "new-state": "used"}
    assert (await client.post(f"{EDIT_SELECTED}?search=t", data=fields | {"confirmed": "yes"})).status_code == 303
    return parts.undo_url((await client.get(LIST)).text)


async def test_undo_restores_all_rows(app: FastAPI, admin: AsyncClient) -> None:
    url = await change_prices(admin)
    assert (await parts.read_part(app, 2)).price == Decimal("7.50")
    assert (await admin.post(url)).headers["location"] == f"{LIST}?search=t"
    assert "Undone: 2 parts." in (await admin.get(LIST)).text
    for pk in (1, 2):
        part = await parts.read_part(app, pk)
        assert (part.price, part.state) == (Decimal(1), "new")


async def test_undo_keeps_all_rows_if_one_has_changed_again(app: FastAPI, admin: AsyncClient) -> None:
    url = await change_prices(admin)
    await parts.edit_cell(admin, "price", "8", 2)
    await admin.post(url)
    assert "Nothing was undone: “nut” has been changed again (Price)." in (await admin.get(LIST)).text
    assert (await parts.read_part(app, 1)).price == Decimal("7.50")


async def test_undo_is_refused_to_other_users(app: FastAPI, admin: AsyncClient) -> None:
    url = await change_prices(admin)
    other = await make_user(app.state.database, "other@example.com", is_superuser=True)
    async with signed_in_client(app, other) as client:
        await client.post(url)
        assert "The log does not have this change." in (await client.get(LIST)).text
    assert (await parts.read_part(app)).price == Decimal("7.50")
    for entries in ("1", "1-2"):
        assert (await admin.post(f"/admin/part/undo?entries={entries}")).status_code == 404, entries


async def test_undo_leaves_changes_of_another_window(app: FastAPI, admin: AsyncClient) -> None:
    first, second = await parts.edit_cell(admin, "price", "2"), await parts.edit_cell(admin, "price", "3", 2)
    ids = [parts.undo_url(page.text).partition("entries=")[2].split("-")[0] for page in (first, second)]
    await admin.post(f"/admin/part/undo?entries={ids[0]}-{ids[1]}-1")
    assert "The log does not have this change." in (await admin.get(LIST)).text
    assert (await parts.read_part(app, 2)).price == Decimal(3)
