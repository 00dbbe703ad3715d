"""Fields that appear only for some values of other fields."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.admin.options import find_view_errors
from opportune.config.settings import Settings
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.editing.pages import read_part
from tests.opportune.admin.editing.parts_feature import Part, PartAdmin, parts
from tests.opportune.admin.gadget_feature import Table
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows

EDIT = "/admin/part/edit/1"
FORM = {"name": "bolt", "state": "used", "due_on": "2026-12-24", "save": "Save"}


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    conditions = {"due_on": {"state": ("used", "old")}, "price": {"is_ready": True}}
    monkeypatch.setattr(PartAdmin, "show_when", conditions)
    async with site_with(parts, Table.metadata, settings) as app:
        await add_rows(app, Part(name="bolt", price=Decimal(7), due_on=date(2026, 1, 2)))
        yield app


async def test_shown_field_is_saved(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post(EDIT, data=FORM)
    assert (await read_part(app)).due_on == date(2026, 12, 24)


async def test_hidden_field_keeps_its_value(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post(EDIT, data=FORM | {"state": "new"})).status_code == 303
    assert (await read_part(app)).due_on == date(2026, 1, 2)


async def test_hidden_field_is_not_validated(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post(EDIT, data=FORM | {"price": "cheap"})).status_code == 303
    assert (await read_part(app)).price == 7


async def test_shown_field_is_validated(admin: AsyncClient) -> None:
    assert (await admin.post(EDIT, data=FORM | {"state": "used", "due_on": "soon"})).status_code == 400


async def test_hidden_field_of_a_new_row_has_its_default(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post("/admin/part/create", data=FORM | {"name": "nut", "price": "3"})).status_code == 303
    assert (await read_part(app, 2)).price == 1


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"nmae": {"state": "new"}}, "PartAdmin.show_when: Part has no 'nmae'"),
        ({"due_on": {"stat": "new"}}, "PartAdmin.show_when: Part has no 'stat'"),
        ({"due_on": "state"}, "PartAdmin.show_when: write the conditions of each field"),
        ({"name": {"state": "new"}}, "PartAdmin.show_when: 'name' is required."),
    ],
)
def test_wrong_condition_is_reported(monkeypatch: pytest.MonkeyPatch, conditions: Any, message: str) -> None:
    monkeypatch.setattr(PartAdmin, "show_when", conditions)
    assert any(line.startswith(message) for line in find_view_errors([PartAdmin]))


async def test_field_appears_when_its_condition_is_met(app: FastAPI, page: Page, superuser: User, site: str) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto(site + EDIT)
    await expect(page.get_by_label("Due on")).to_be_hidden()
    await page.get_by_label("State").select_option("used")
    await expect(page.get_by_label("Due on")).to_be_visible()
    await page.get_by_label("Ready").check()
    await expect(page.get_by_label("Price")).to_be_visible()
    await page.get_by_label("State").select_option("new")
    await expect(page.get_by_label("Due on")).to_be_hidden()
