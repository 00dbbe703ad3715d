"""Inline rows, edited in the form of another row."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import update
from sqlmodel import col

from opportune.admin.models import AuditEntry
from opportune.testing.factories import add_permission, signed_in_client
from tests.opportune.admin.shelf_feature import Label, LabelAdmin, Shelf, run_before_saving
from tests.opportune.stored_rows import add_rows, execute, get_row, make_staff, read_all

EDIT = "/admin/shelf/edit/1"
SHELF_FORM = {"title": "Novels", "slug": "", "price": "0", "save": "Save"}
# Form data of unchanged rows, as a browser sends it.
RED_ROW, BLUE_ROW = {"label-1-text": "red", "label-1-size": "1"}, {"label-2-text": "blue", "label-2-size": "2"}
BLANK_ROW = {"label-new0-text": "", "label-new0-size": "1", "label-new0-is_bold": "y"}
FORM = {**SHELF_FORM, **RED_ROW, **BLUE_ROW, "label-1-is_bold": "y", "label-2-is_bold": "y", **BLANK_ROW}


@pytest.fixture
async def app(app_with_shelves: FastAPI) -> FastAPI:
    labels = (Label(shelf_id=shelf_id, text=text, size=size) for shelf_id, text, size, _ in LABELS_BEFORE)
    await add_rows(app_with_shelves, Shelf(title="Novels"), Shelf(title="Poems"), *labels)
    return app_with_shelves


async def read_labels(app: FastAPI) -> list[tuple[int, str, int, bool]]:
    rows = await read_all(app, Label)
    return [(label.shelf_id, label.text, label.size, label.is_bold) for label in rows]


LABELS_BEFORE = [(1, "red", 1, True), (1, "blue", 2, True), (2, "green", 3, True)]


async def test_inlines_are_changed_deleted_and_added(app: FastAPI, admin: AsyncClient) -> None:
    changes = {"label-1-text": "crimson", "label-2-delete": "1", "label-new0-text": "gold", "label-new0-size": "9"}
    response = await admin.post(EDIT, data={**FORM, **changes})
    assert response.status_code == 303, response.text
    assert await read_labels(app) == [(1, "crimson", 1, True), (2, "green", 3, True), (1, "gold", 9, True)]
    recorded = await read_all(app, AuditEntry)
    texts = [f"{entry.action} {entry.identity} {entry.title}" for entry in recorded]
    assert texts == ["update label crimson", "delete label blue", "create label gold"], "no unchanged row"


async def test_inlines_run_the_hooks_of_their_view(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, bool]] = []

    async def after_update(_self: object, _data: object, label: Label, is_created: bool, _request: object) -> None:
        events.append((label.text, is_created))

    async def after_delete(_self: object, label: Label, _request: object) -> None:
        events.append((f"{label.text} deleted", False))

    monkeypatch.setattr(LabelAdmin, "after_model_change", after_update)
    monkeypatch.setattr(LabelAdmin, "after_model_delete", after_delete)
    changes = {"label-1-text": "crimson", "label-2-delete": "1", "label-new0-text": "gold"}
    await admin.post(EDIT, data={**FORM, **changes})
    assert events == [("crimson", False), ("blue deleted", False), ("gold", True)]
    events.clear()
    await admin.post(EDIT, data={**FORM, **changes, "label-1-text": ""})
    assert events == [], "no row was saved"
    form = {**SHELF_FORM, **BLANK_ROW, "title": "Plays", "label-new0-text": "silver"}
    await admin.post("/admin/shelf/create", data=form)
    assert events == [("silver", True)]


INVALID_ROWS = [
    ({"label-1-text": ""}, "label-1-text", "Please fill this in."),
    ({"label-new0-text": "gold", "label-new0-size": "0"}, "label-new0-size", "Please enter 1 or more."),
    ({"label-new0-text": "green"}, "label-new0-text", "This value is already in use."),
]


async def test_invalid_inline_saves_nothing(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for changes, field, message in INVALID_ROWS:
        response = await admin.post(EDIT, data={**FORM, "title": "Kept", "label-2-size": "7", **changes})
        assert response.status_code == 400
        assert message in response.text.split(f'id="error-{field}">')[1].split("</div>")[0]
        assert "Please correct the rows below." in response.text
        assert 'value="Kept"' in response.text
        assert await read_labels(app) == LABELS_BEFORE
    assert (await get_row(app, Shelf, 1)).title == "Novels"
    forged = {"label-3-text": "stolen", "label-3-size": "1", "label-3-delete": "1", "label-1-shelf_id": "2"}
    assert (await admin.post(EDIT, data={**FORM, **forged})).status_code == 303
    assert await read_labels(app) == LABELS_BEFORE
    assert (await admin.post(EDIT, data=SHELF_FORM)).status_code == 303
    assert await read_labels(app) == LABELS_BEFORE
    assert 'name="label-1-text"' in (await admin.get(EDIT)).text
    monkeypatch.setattr("opportune.admin.forms.inline_tables.MAX_INLINE_ROWS", 1)
    page = (await admin.get(EDIT)).text
    assert [text in page for text in ('name="label-1-text"', 'href="/admin/label/list?shelf_id=1"')] == [False, True]
    other_row_was_added_since = {"label-(rows)": ["1", "new0"], "label-1-text": "mine", "label-new0-text": "gold"}
    assert (await admin.post(EDIT, data=FORM | other_row_was_added_since)).status_code == 303
    assert [text for _, text, *_ in await read_labels(app)] == ["mine", "blue", "green", "gold"]


async def test_moved_inline_is_refused(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def move() -> None:
        await execute(app, update(Label).where(col(Label.id) == 1).values(shelf_id=2))

    run_before_saving(monkeypatch, move)
    response = await admin.post(EDIT, data={**FORM, "label-1-text": "stolen"})
    assert response.status_code == 400
    assert "Another user has deleted or moved this row." in response.text
    assert await read_labels(app) == [(2, "red", 1, True), *LABELS_BEFORE[1:]]


async def test_inlines_need_permission_to_edit(app: FastAPI) -> None:
    user = await make_staff(app, "shelf.*", "label.list")
    changes = {**FORM, "label-1-text": "forged", "label-2-delete": "1", "label-new0-text": "gold"}
    async with signed_in_client(app, user) as staff:
        page = (await staff.get(EDIT)).text
        assert "label-1-text" not in page
        assert 'href="/admin/label/list?shelf_id=1"' in page, "shown as related rows only"
        assert (await staff.post(EDIT, data=changes)).status_code == 303
        assert await read_labels(app) == LABELS_BEFORE
        await add_permission(app.state.database, user, "label", "update")
        page = (await staff.get(EDIT)).text
        assert [text in page for text in ("label-1-text", "label-1-delete", "label-new0-text")] == [True, False, False]
        await staff.post(EDIT, data=changes)
    assert await read_labels(app) == [(1, "forged", 1, True), *LABELS_BEFORE[1:]]


async def test_form_may_have_many_fields(app: FastAPI, admin: AsyncClient) -> None:
    many = {f"label-1-unknown{number}": "" for number in range(1_500)}
    for files in (None, {"plan": ("", b"")}):
        assert (await admin.post(EDIT, data=FORM | many, files=files)).status_code == 303


async def test_read_only_view_has_no_fields(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check_can_edit(_self: object, _request: object, _row: object) -> bool:
        return True

    monkeypatch.setattr(LabelAdmin, "check_can_edit", check_can_edit)
    monkeypatch.setattr(LabelAdmin, "can_edit", False)
    page = (await admin.get(EDIT)).text
    assert 'name="label-1-text"' not in page
    assert 'name="label-new0-text"' in page
    assert '<div class="form-control-plaintext">red</div>' in page
    await admin.post(EDIT, data=FORM | {"label-1-text": "forged"})
    assert await read_labels(app) == LABELS_BEFORE
