"""Positions of inline rows."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update
from sqlmodel import col

from opportune.admin.base import Inline
from opportune.admin.models import AuditEntry
from opportune.testing.factories import signed_in_client
from tests.opportune.admin.shelf_feature import Label, LabelAdmin, Shelf, ShelfAdmin
from tests.opportune.stored_rows import add_rows, execute, make_staff, read_all

EDIT = "/admin/shelf/edit/1"
POSITIONS = {"third": 30, "first": 10, "second": 20}
SHELF_FORM = {"title": "Novels", "slug": "", "price": "0", "save": "Save"}


@pytest.fixture
async def app(app_with_shelves: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(ShelfAdmin, "inlines", (Inline(Label, "shelf_id", ("text",), sortable="position"),))
    labels = (Label(shelf_id=1, text=text, position=position) for text, position in POSITIONS.items())
    await add_rows(app_with_shelves, Shelf(title="Novels"), *labels)
    return app_with_shelves


def order_of(*keys: str) -> dict[str, Any]:
    """Return form data with these lines, in this order."""
    texts = {"1": "third", "2": "first", "3": "second"}
    return SHELF_FORM | {"label-(rows)": [*keys]} | {f"label-{key}-text": texts.get(key, key) for key in keys}


async def read_positions(app: FastAPI) -> list[tuple[str, int]]:
    labels = await read_all(app, select(Label).order_by(col(Label.position), col(Label.id)))
    return [(label.text, label.position) for label in labels]


async def test_unchanged_order_keeps_positions(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get(EDIT)).text
    assert page.index('value="first"') < page.index('value="second"') < page.index('value="third"')
    assert 'name="label-1-position"' not in page
    assert (await admin.post(EDIT, data=order_of("2", "3", "1", "new0"))).status_code == 303
    assert await read_positions(app) == [("first", 10), ("second", 20), ("third", 30), ("new0", 31)]


async def test_new_order_is_stored_and_logged(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post(EDIT, data=order_of("1", "new0", "2", "3"))).status_code == 303
    assert await read_positions(app) == [("third", 1), ("new0", 2), ("first", 3), ("second", 4)]
    entries = await read_all(app, select(AuditEntry).where(col(AuditEntry.action) == "update"))
    assert {entry.title: entry.changes for entry in entries}["third"] == {"position": [30, 1]}


async def test_equal_positions_are_numbered(app: FastAPI, admin: AsyncClient) -> None:
    await execute(app, update(Label).values(position=0))
    assert (await admin.post(EDIT, data=order_of("1", "2", "3"))).status_code == 303
    assert await read_positions(app) == [("third", 1), ("first", 2), ("second", 3)]


async def test_row_added_meanwhile_comes_last(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Label(shelf_id=1, text="other", position=1))
    assert (await admin.post(EDIT, data=order_of("3", "2", "1"))).status_code == 303
    assert [text for text, _ in await read_positions(app)] == ["second", "first", "third", "other"]


async def test_buttons_work_without_javascript(app: FastAPI, admin: AsyncClient) -> None:
    form_data = order_of("2", "3", "1") | {"label-2-text": "typed", "title": "Draft", "label-(move)": "1:up"}
    response = await admin.post(EDIT, data={name: value for name, value in form_data.items() if name != "save"})
    assert response.status_code == 200
    page = response.text
    assert page.index('value="typed"') < page.index('value="third"') < page.index('value="second"')
    assert 'value="Draft"' in page
    assert await read_positions(app) == [("first", 10), ("second", 20), ("third", 30)], "nothing is saved yet"
    page = (await admin.post(EDIT, data=order_of("2", "new0") | {"label-(add)": "1"})).text
    assert [text in page for text in ('name="label-new0-text"', 'name="label-new1-text"')] == [True, True]


async def test_locked_row_prevents_sorting(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check_can_edit(_self: object, _request: object, row: Label | None) -> bool:
        return row is None or row.text != "first"

    monkeypatch.setattr(LabelAdmin, "check_can_edit", check_can_edit)
    page = (await admin.get(EDIT)).text
    assert [text in page for text in ("label-(move)", 'name="label-2-text"')] == [False, False]
    assert '<div class="form-control-plaintext">first</div>' in page, "the row is still visible"
    forged = order_of("1", "2", "3") | {"label-2-text": "forged"}
    assert (await admin.post(EDIT, data=forged)).status_code == 303
    assert await read_positions(app) == [("first", 10), ("second", 20), ("third", 30)]


async def test_user_without_edit_permission_may_add_lines(app: FastAPI) -> None:
    async with signed_in_client(app, await make_staff(app, "shelf.*", "label.create")) as staff:
        page = (await staff.get(EDIT)).text
        assert 'name="label-new0-text"' in page
        assert 'value="second"' not in page, "rows need the permission to list them"
        forged = order_of("1", "new0") | {"label-1-text": "forged", "label-1-delete": "1"}
        assert (await staff.post(EDIT, data=forged)).status_code == 303
    assert [text for text, _ in await read_positions(app)] == ["new0", "first", "second", "third"]
