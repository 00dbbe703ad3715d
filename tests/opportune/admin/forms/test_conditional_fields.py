"""Fields that appear only for some values of other fields."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.admin.view_classes import find_view_errors
from opportune.config.settings import Settings
from tests.opportune.admin.editing.parts_feature import Part, PartAdmin, parts, read_part
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows

EDIT = "/admin/part/edit/1"
FORM = {"name": "bolt", "state": "used", "due_on": "2026-12-24", "save": "Save"}


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    conditions = {"due_on": {"state": ("used", "old")}, "price": {"is_ready": True}, "is_ready": {"state": "new"}}
    monkeypatch.setattr(PartAdmin, "show_when", conditions)
    async with site_with(parts, settings) as app:
        await add_rows(app, Part(name="bolt", price=Decimal(7), due_on=date(2026, 1, 2)))
        yield app


@pytest.mark.parametrize(
    ("changes", "status", "due_on"),
    [
        pytest.param({}, 303, date(2026, 12, 24), id="a shown field is saved"),
        pytest.param({"due_on": "soon"}, 400, date(2026, 1, 2), id="a shown field is validated"),
        pytest.param({"state": "new"}, 303, date(2026, 1, 2), id="a hidden field keeps its value"),
        pytest.param({"price": "cheap"}, 303, date(2026, 12, 24), id="a hidden field is not validated"),
        pytest.param({"price": "9", "is_ready": "y"}, 303, date(2026, 12, 24), id="a hidden field is no condition"),
    ],
)
async def test_only_shown_fields_are_read(
    app: FastAPI, admin: AsyncClient, changes: dict[str, str], status: int, due_on: date
) -> None:
    assert (await admin.post(EDIT, data=FORM | changes)).status_code == status
    part = await read_part(app)
    assert (part.due_on, part.price) == (due_on, Decimal(7))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"nmae": {"state": "new"}}, "PartAdmin.show_when: Part has no 'nmae'"),
        ({"due_on": {"stat": "new"}}, "PartAdmin.show_when: Part has no 'stat'"),
        ({"name": {"state": "new"}}, "PartAdmin.show_when: 'name' is required."),
    ],
)
def test_wrong_condition_is_reported(monkeypatch: pytest.MonkeyPatch, conditions: Any, message: str) -> None:
    monkeypatch.setattr(PartAdmin, "show_when", conditions)
    assert any(line.startswith(message) for line in find_view_errors([PartAdmin]))


async def test_field_appears_when_its_condition_is_met(page: Page, site: str) -> None:
    await page.goto(site + EDIT)
    await expect(page.get_by_label("Due on")).to_be_hidden()
    await page.get_by_label("Ready").check()
    await expect(page.get_by_label("Price")).to_be_visible()
    await page.get_by_label("State").select_option("used")
    await expect(page.get_by_label("Due on")).to_be_visible()
    await expect(page.get_by_label("Price")).to_be_hidden()
