"""Two users who edit the same row."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete, select, update
from sqlmodel import col

from opportune.admin.base import Inline
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.admin.shelf_feature import Label, Shelf, ShelfAdmin, run_before_saving
from tests.opportune.stored_rows import add_rows, execute, get_row, make_staff, read_all

EDIT = "/admin/shelf/edit/1"
SHELF_FORM = {"title": "Novels", "slug": "n", "price": "3", "save": "Save"}
NEW_KEY = 'name="label-new0-text"'


@pytest.fixture
async def app(app_with_shelves: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(ShelfAdmin, "inlines", (Inline(Label, "shelf_id", ("text", "size")),))
    await add_rows(app_with_shelves, Shelf(title="Novels", slug="n", price=3), Label(shelf_id=1, text="red", size=1))
    return app_with_shelves


async def open_form(client: AsyncClient) -> dict[str, Any]:
    return SHELF_FORM | hidden_fields((await client.get(EDIT)).text) | {"label-1-text": "red", "label-1-size": "1"}


def hidden_fields(page: str) -> dict[str, Any]:
    pairs = re.findall(r'<input type="hidden" name="([\w-]*\((?:seen|rows)\))" value="([^"]*)"', page)
    rows = [value for name, value in pairs if name == "label-(rows)" and value != "new__"]
    return dict(pairs) | {"label-(rows)": rows}


async def change(app: FastAPI, model: type[Any], **values: Any) -> None:
    await execute(app, update(model).where(model.id == 1).values(**values))


async def read(app: FastAPI, model: type[Any], *names: str) -> list[Any]:
    row = await get_row(app, model)
    return [getattr(row, name) for name in names]


async def test_change_of_another_user_is_shown(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin)
    ann = await make_user(app.state.database, email="ann@example.com", display_name="Ann", is_superuser=True)
    async with signed_in_client(app, ann) as client:
        await client.post(EDIT, data=await open_form(client) | {"title": "Plays", "slug": "ann"})
    response = await admin.post(EDIT, data=form_data | {"slug": "mine"})
    assert response.status_code == 409
    assert response.text.count("(Ann, ") == 2, "each changed field names the author and the time"
    assert 'value="mine"' in response.text, "the user's text is kept"
    assert 'value="Plays" id="title"' in response.text, "unchanged fields have the new value"
    assert await read(app, Shelf, "slug", "title") == ["ann", "Plays"]
    again = form_data | hidden_fields(response.text) | {"slug": "mine", "title": "Plays"}
    assert (await admin.post(EDIT, data=again)).status_code == 303
    assert await read(app, Shelf, "slug", "title") == ["mine", "Plays"]


async def test_author_needs_the_permission_for_history(app: FastAPI, admin: AsyncClient) -> None:
    async with signed_in_client(app, await make_staff(app, "shelf.list", "shelf.update")) as staff:
        form_data = await open_form(staff)
        await admin.post(EDIT, data=await open_form(admin) | {"slug": "root"})
        page = (await staff.post(EDIT, data=form_data | {"slug": "mine"})).text
    assert ("Another user" in page, "root@example.com" in page) == (True, False)


async def test_same_change_and_another_column_are_no_conflicts(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin)
    await change(app, Shelf, slug="same", code="N7")
    assert (await admin.post(EDIT, data=form_data | {"slug": "same"})).status_code == 303
    assert await read(app, Shelf, "slug", "code") == ["same", "N7"]


async def test_invalid_value_keeps_the_seen_values(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin) | {"slug": "mine"}
    page = (await admin.post(EDIT, data=form_data | {"title": ""})).text
    await change(app, Shelf, slug="other")
    assert hidden_fields(page)["(seen)"] == form_data["(seen)"]
    assert (await admin.post(EDIT, data=form_data | hidden_fields(page))).status_code == 409


@pytest.mark.database("sqlite", "postgresql")
async def test_change_while_saving_is_shown(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    form_data = await open_form(admin)

    async def change_price() -> None:
        if await read(app, Shelf, "price") == [3]:
            await change(app, Shelf, price=8)

    run_before_saving(monkeypatch, change_price)
    response = await admin.post(EDIT, data=form_data | {"slug": "mine"})
    assert response.status_code == 409
    assert re.search(r'value="8" id="price"', response.text)
    assert await read(app, Shelf, "slug", "price") == ["n", 8]


async def test_change_of_an_inline_is_shown(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin)
    await change(app, Label, size=5)
    response = await admin.post(EDIT, data=form_data | {"label-1-text": "mine"})
    assert response.status_code == 400
    assert "Another user has changed this row. Size: 5. Save again to keep your text." in response.text
    assert await read(app, Label, "text", "size") == ["red", 5]
    again = form_data | hidden_fields(response.text) | {"label-1-text": "mine", "label-1-size": "5"}
    assert (await admin.post(EDIT, data=again)).status_code == 303
    assert await read(app, Label, "text", "size") == ["mine", 5]


async def test_untouched_inline_keeps_the_other_change(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin)
    await change(app, Label, size=5)
    assert (await admin.post(EDIT, data=form_data | {"slug": "mine"})).status_code == 303
    assert await read(app, Label, "text", "size") == ["red", 5]
    form_data = await open_form(admin) | {"label-1-size": "5"}
    await execute(app, delete(Label))
    assert (await admin.post(EDIT, data=form_data | {"slug": "again"})).status_code == 303
    assert await read(app, Shelf, "slug") == ["again"]


async def test_changed_inline_is_deleted_on_repetition(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin) | {"label-1-delete": "1"}
    await change(app, Label, size=5)
    page = (await admin.post(EDIT, data=form_data)).text
    assert "Save again to delete it." in page
    assert (await admin.post(EDIT, data=form_data | hidden_fields(page))).status_code == 303
    assert await read_all(app, Label) == []


async def test_text_in_a_deleted_inline_is_kept(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin)
    await execute(app, delete(Label))
    async with signed_in_client(app, await make_staff(app, "shelf.update", "label.list", "label.update")) as staff:
        page = (await staff.post(EDIT, data=form_data | {"label-1-text": "mine"})).text
        assert ("Another user has deleted or moved this row." in page, 'value="mine"' in page) == (True, True)
    page = (await admin.post(EDIT, data=form_data | {"label-1-text": "mine"})).text
    assert "Another user has deleted this row. Save again to add it as a new row, or remove it." in page
    assert 'value="mine"' in page
    assert NEW_KEY in page
    added = SHELF_FORM | {"label-(rows)": "new0", "label-new0-text": "mine", "label-new0-size": "1"}
    assert (await admin.post(EDIT, data=added)).status_code == 303


async def test_text_of_a_deleted_row_can_be_added_again(app: FastAPI, admin: AsyncClient) -> None:
    form_data = await open_form(admin) | {"title": "Mine"}
    for model in (Label, Shelf):
        await execute(app, delete(model))
    assert (await admin.get(EDIT)).status_code == 404
    assert (await admin.post(EDIT, data=SHELF_FORM)).status_code == 404, "without hashes of the form"
    async with signed_in_client(app, await make_staff(app, "shelf.list", "shelf.update")) as staff:
        response = await staff.post(EDIT, data=form_data)
        assert ">\nMine</textarea>" in (await staff.get(response.headers["location"])).text, "who may not add rows"
    response = await admin.post(EDIT, data=form_data)
    page = await admin.get(response.headers["location"])
    assert "Another user has deleted this row, or you may no longer change it." in page.text
    assert 'value="Mine"' in page.text
    assert 'value="red"' in page.text, "the inlines are kept"
    assert (await admin.post("/admin/shelf/create", data=form_data)).status_code == 303
    assert await read_all(app, select(col(Shelf.title))) == ["Mine"]
    assert await read_all(app, select(col(Label.text))) == ["red"]
