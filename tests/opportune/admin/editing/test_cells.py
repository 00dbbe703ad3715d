"""Cells of a list that are edited in place: validation, permissions, hooks, log, conflicts and undo."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete, update
from sqlmodel import col

from opportune.accounts.models import User
from opportune.testing import add_permission, counted_statements, signed_in_client
from tests.opportune.admin.editing import parts_feature as parts
from tests.opportune.admin.editing.parts_feature import LIST
from tests.opportune.stored_rows import change_row, execute, make_staff

EDITED_CELLS: tuple[tuple[str, str, Any], ...] = (
    ("name", "screw", "screw"),
    ("maker_id", "2", 2),
    ("maker_id", "", None),
    ("state", "used", "used"),
    ("price", "2.50", Decimal("2.50")),
    ("due_on", "2026-12-24", date(2026, 12, 24)),
    ("seen_at", "2026-12-24T18:30", datetime(2026, 12, 24, 18, 30, tzinfo=UTC)),
    ("tags", '["steel", "round"]', ["steel", "round"]),
    ("tags", '["round", "steel"]', ["round", "steel"]),
)


@pytest.mark.database("sqlite", "postgresql")
async def test_cell_saves_each_type(app: FastAPI, admin: AsyncClient) -> None:
    for number, (column, text, value) in enumerate(EDITED_CELLS, 1):
        before = await parts.read_part(app)
        response = await parts.edit_cell(admin, column, text)
        assert response.status_code == 200
        assert "was saved." in response.text
        part = await parts.read_part(app)
        assert getattr(part, column) == value
        unchanged = [name for name in parts.Part.model_fields if name not in (column, "saves", "updated_at")]
        assert [getattr(part, name) for name in unchanged] == [getattr(before, name) for name in unchanged]
        assert part.saves == number, "before_save ran"
        changes = await parts.read_changes(app)
        assert len(changes) == number
        assert any(column in change for change in changes)
        assert getattr(await parts.read_part(app, 2), column) != value


REFUSED_TEXTS = (
    ("price", "cheap", "Please enter a number"),
    ("name", "", "Please fill this in."),
    ("name", "n" * 21, "at most 20 characters"),
    ("due_on", "soon", "Please enter a date"),
    ("state", "broken", "Choose one of"),
    ("name", "nut", "This value is already in use."),
    ("name", "cursed", "This name brings bad luck."),
    ("maker_id", "99", "no longer exists"),
)


async def test_refused_text_stays_with_its_reason(app: FastAPI, admin: AsyncClient) -> None:
    for column, text, message in REFUSED_TEXTS:
        response = await parts.edit_cell(admin, column, text)
        assert response.status_code == 422, text
        assert message in response.text, text
        assert 'aria-invalid="true"' in response.text, text
        if text and column != "state":  # a selection has no option for an unknown choice
            assert f'"{text}"' in response.text, text
        assert await parts.read_changes(app) == [], text


@pytest.mark.database("sqlite", "postgresql")
async def test_undo_restores_the_exact_value(app: FastAPI, admin: AsyncClient) -> None:
    moment = datetime(2026, 12, 24, 18, 30, 5, 123456, tzinfo=UTC)
    await execute(app, update(parts.Part).where(col(parts.Part.id) == 1).values(seen_at=moment))
    await admin.post(parts.undo_url((await parts.edit_cell(admin, "seen_at", "")).text))
    assert (await parts.read_part(app)).seen_at == moment
    await admin.post(parts.undo_url((await parts.edit_cell(admin, "price", "2.50")).text))
    assert "Undone: 1 part." in (await admin.get(LIST)).text
    changes = (await parts.read_changes(app))[-2:]
    assert [change["price"] for change in changes] == [["1.00", "2.50"], ["2.50", "1.00"]]


@pytest.mark.database("sqlite", "postgresql")
async def test_second_editor_sees_the_first_and_may_save(app: FastAPI, admin: AsyncClient, superuser: User) -> None:
    loaded = await parts.open_cell(admin, "state")
    await parts.edit_cell(admin, "state", "used")
    await change_row(app, parts.Part, price=Decimal(7))
    loaded_price = await parts.open_cell(admin, "price")
    await parts.edit_cell(admin, "price", "8")
    conflict = await parts.send_cell(admin, "price", {**loaded_price, "1-price": "9"})
    assert conflict.status_code == 409
    assert f"{superuser.email} has changed this to “8.00”. Save again to replace it." in conflict.text
    assert 'value="9"' in conflict.text
    assert (await parts.read_part(app)).price == 8
    fields = parts.hidden_fields(conflict.text)
    assert (await parts.send_cell(admin, "price", {**fields, "1-price": "9"})).status_code == 200
    assert (await parts.read_part(app)).price == 9
    assert (await parts.send_cell(admin, "state", {**loaded, "1-state": "used"})).status_code == 200


async def test_deleted_row_gets_one_line(app: FastAPI, admin: AsyncClient) -> None:
    loaded = await parts.open_cell(admin, "price")
    await execute(app, delete(parts.Part).where(col(parts.Part.id) == 1))
    response = await parts.send_cell(admin, "price", {**loaded, "1-price": "2"})
    assert response.status_code == 404
    assert "Another user has deleted this row." in response.text
    assert (await admin.get("/admin/part/cell/price/1")).status_code == 404
    assert (await admin.get("/admin/part/row/1")).status_code == 404


async def test_cells_need_the_permission_to_edit(app: FastAPI) -> None:
    staff = await make_staff(app, "part.list", "maker.list")
    async with signed_in_client(app, staff) as browser:
        assert "cell-edit" not in (await browser.get(LIST)).text
        assert (await browser.get("/admin/part/cell/state/1")).status_code == 403
        assert (await browser.post("/admin/part/cell/state/1", data={"1-state": "used"})).status_code == 403
        assert (await browser.post("/admin/part/undo?entries=1")).status_code == 403
        await add_permission(app.state.database, staff, "part", "update")
        page = (await browser.get(LIST)).text
        assert "Edit State of 1" in page
        assert "Edit State of 3" not in page, "the row is locked by check_can_edit"
        assert "Edit Price of 1" not in page, "get_readonly_fields locks the column"
        assert (await parts.edit_cell(browser, "state", "used")).status_code == 200
        assert (await browser.get("/admin/part/cell/price/1")).status_code == 403
        response = await browser.post("/admin/part/cell/price/1", data={"1-price": "2"})
        assert "Price: This cannot be changed." in response.text
        response = await browser.post("/admin/part/cell/state/3", data={"3-state": "used"})
        assert "You may not change this row." in response.text
    assert (await parts.read_part(app)).price == 1
    assert (await parts.read_part(app, 3)).state == "new"


async def test_editable_list_needs_no_further_queries(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await admin.get(LIST)
    with counted_statements() as editable:
        assert "cell-edit" in (await admin.get(LIST)).text
    monkeypatch.setattr(parts.PartAdmin, "editable", ())
    with counted_statements() as plain:
        assert "cell-edit" not in (await admin.get(LIST)).text
    # The worker of the site also looks for jobs.
    counts = [sum("jobs_job" not in statement for statement in statements) for statements in (editable, plain)]
    assert counts[0] == counts[1] > 0
