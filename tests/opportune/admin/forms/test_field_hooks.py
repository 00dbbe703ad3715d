"""Fields of a form per user: `get_fields` and `get_readonly_fields`."""

from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from starlette.requests import Request

from tests.opportune.admin.shelf_feature import Label, LabelAdmin, Shelf, ShelfAdmin, shelves
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import get_row

EDIT = "/admin/shelf/edit/1"
CREATE = "/admin/shelf/create"
FORM = {"title": "Novels", "slug": "n", "code": "X", "price": "9", "save": "Save"}
app = site_fixture(
    shelves, lambda: [Shelf(title="Novels", slug="old", code="NOV-1", price=3), Label(shelf_id=1, text="red", size=4)]
)


def set_fields(monkeypatch: pytest.MonkeyPatch, view: type[Any], method: str, *names: Any) -> None:
    def names_of_fields(_self: object, _request: Request, _row: object) -> Sequence[Any]:
        return names

    monkeypatch.setattr(view, method, names_of_fields)


async def test_omitted_fields_are_not_shown(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    set_fields(monkeypatch, ShelfAdmin, "get_fields", "price", Shelf.title)
    page = (await admin.get(EDIT)).text
    assert [text in page for text in ('name="price"', 'name="title"')] == [True, True]
    assert "slug" not in page.split('class="card-body"')[1].split('class="card-footer')[0]
    assert "NOV-1" not in page
    monkeypatch.setattr(ShelfAdmin, "fieldsets", ())
    set_fields(monkeypatch, ShelfAdmin, "get_fields", "price", "code", "title")
    page = (await admin.get(EDIT)).text
    assert page.index('name="price"') < page.index("NOV-1") < page.index('name="title"')


async def test_omitted_fields_are_not_read(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    set_fields(monkeypatch, ShelfAdmin, "get_fields", "title", "code")
    assert (await admin.post(EDIT, data={**FORM, "title": "Plays"})).status_code == 303
    shelf = await get_row(app, Shelf)
    assert (shelf.title, shelf.slug, shelf.price) == ("Plays", "old", 3)
    assert (await admin.post(CREATE, data={**FORM, "title": "Poems"})).status_code == 303
    assert (await get_row(app, Shelf, 2)).slug == ""


async def test_readonly_fields_are_text(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    set_fields(monkeypatch, ShelfAdmin, "get_readonly_fields", "slug", Shelf.price)
    page = (await admin.get(EDIT)).text
    assert 'name="slug"' not in page
    assert '<div class="form-control-plaintext text-break">old</div>' in page
    assert (await admin.post(EDIT, data=FORM)).status_code == 303
    shelf = await get_row(app, Shelf)
    assert (shelf.slug, shelf.price, shelf.code) == ("old", 3, "X")


async def test_hooks_apply_to_inlines(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    set_fields(monkeypatch, LabelAdmin, "get_fields", "text", "is_bold")
    set_fields(monkeypatch, LabelAdmin, "get_readonly_fields", "is_bold")
    page = (await admin.get(EDIT)).text
    assert "label-1-size" not in page
    assert "<td>\n            4" not in page, "an omitted value is not shown as text"
    forged = {"label-1-text": "blue", "label-1-size": "7"}
    assert (await admin.post(EDIT, data={**FORM, **forged})).status_code == 303
    label = await get_row(app, Label)
    assert (label.text, label.size, label.is_bold) == ("blue", 4, True)


@pytest.mark.parametrize("method", ["get_fields", "get_readonly_fields"])
async def test_unknown_name_of_a_hook_is_refused(
    admin: AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    set_fields(monkeypatch, ShelfAdmin, method, "pricce")
    assert (await admin.get(EDIT)).status_code == 500
    assert f"ShelfAdmin.{method}: Shelf has no 'pricce'. Did you mean price?" in caplog.text
