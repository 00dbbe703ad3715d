"""Undo of changes to several rows: "Save all", bulk edit and paste."""

from decimal import Decimal

from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.admin.editing.parts_feature import LIST, edit_cell, read_part, undo_url

EDIT_SELECTED = "/admin/part/edit-selected"


async def change_prices(client: AsyncClient) -> str:
    """Change three rows together, and return the address of Undo."""
    fields = {"pks": "1,2", "change": ["price", "state"], "new-price": "7.50", "new-state": "used"}
    response = await client.post(f"{EDIT_SELECTED}?search=t", data=fields | {"confirmed": "yes"})
    assert response.status_code == 303
    return undo_url((await client.get(LIST)).text)


async def test_undo_restores_all_rows(app: FastAPI, admin: AsyncClient) -> None:
    url = await change_prices(admin)
    assert (await read_part(app, 2)).price == Decimal("7.50")
    response = await admin.post(url)
    assert response.headers["location"] == f"{LIST}?search=t"
    assert "Undone: 2 parts." in (await admin.get(LIST)).text
    for pk in (1, 2):
        part = await read_part(app, pk)
        assert (part.price, part.state) == (Decimal(1), "new")


async def test_undo_keeps_all_rows_if_one_has_changed_again(app: FastAPI, admin: AsyncClient) -> None:
    url = await change_prices(admin)
    await edit_cell(admin, "price", "8", 2)
    await admin.post(url)
    assert "Nothing was undone: “nut” has been changed again (Price)." in (await admin.get(LIST)).text
    assert (await read_part(app, 1)).price == Decimal("7.50")


async def test_undo_is_refused_to_other_users(app: FastAPI, admin: AsyncClient) -> None:
    url = await change_prices(admin)
    other = await make_user(app.state.database, "other@example.com", is_superuser=True)
    async with signed_in_client(app, other) as client:
        await client.post(url)
        assert "The log does not have this change." in (await client.get(LIST)).text
    assert (await read_part(app)).price == Decimal("7.50")
    for entries in ("1", "1-2"):
        assert (await admin.post(f"/admin/part/undo?entries={entries}")).status_code == 404, entries


async def test_undo_leaves_changes_of_another_window(app: FastAPI, admin: AsyncClient) -> None:
    first, second = await edit_cell(admin, "price", "2"), await edit_cell(admin, "price", "3", 2)
    ids = [undo_url(page.text).partition("entries=")[2].split("-")[0] for page in (first, second)]
    await admin.post(f"/admin/part/undo?entries={ids[0]}-{ids[1]}-1")
    assert "The log does not have this change." in (await admin.get(LIST)).text
    assert (await read_part(app, 2)).price == Decimal(3)
