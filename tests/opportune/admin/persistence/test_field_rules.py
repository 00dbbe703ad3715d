"""Fields that the data layer of a view hides or locks are also hidden or locked in the admin."""

from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.models import AuditEntry
from tests.opportune.contrib.import_export.import_steps import upload_file
from tests.opportune.crud.shop_feature import Ware, Wares, make_wares, shop
from tests.opportune.site_with import site_fixture, staff_fixture
from tests.opportune.stored_rows import read_one

TEXTS_OF_HIDDEN_FIELDS = ("Cost", "7.00", "Note", "Haggle", "Buyer", "Region", "Atlantis", "Margin")
# Added one by one, because "*" would include the permissions of fields.
ACTIONS = ("list", "get", "create", "update", "delete", "import", "export")
app = site_fixture(shop, make_wares)
seller = staff_fixture(*(f"{name}.{action}" for name in ("ware", "vendor") for action in ACTIONS), "audit-entry.*")
"""May do everything with wares except see their cost."""
buyer = staff_fixture("ware.*", "vendor.*")
"""May also see the cost of wares."""


async def read_values(app: FastAPI, name: str, *columns: str) -> tuple[Any, ...]:
    ware = await read_one(app, select(Ware).where(col(Ware.name) == name))
    return tuple(getattr(ware, column) for column in columns)


async def test_pages_omit_hidden_fields(seller: AsyncClient) -> None:
    for page in ("list", "details/1", "edit/1", "create", "import"):
        response = await seller.get(f"/admin/ware/{page}")
        assert response.status_code == 200, page
        assert [text for text in TEXTS_OF_HIDDEN_FIELDS if text in response.text] == [], page


async def test_hidden_field_is_an_unknown_name(seller: AsyncClient, buyer: AsyncClient) -> None:
    for path, refusal in (
        ("ware/list?sortBy=cost", 422),
        ("ware/list?cost__gte=7", 422),
        ("ware/list?marks=77", 422),
        ("ware/ajax/lookup?name=buyer_id&term=", 404),
    ):
        statuses = [(await client.get(f"/admin/{path}")).status_code for client in (seller, buyer)]
        assert statuses == [refusal, 200], path


async def test_hidden_field_finds_no_row(seller: AsyncClient, buyer: AsyncClient) -> None:
    for path, text in (
        ("ware/list?search=haggle", ">Lamp<"),
        ("ware/ajax/lookup?name=vendor_id&term=atlantis", "Acme"),
        ("vendor/details/2", "Lamp"),  # related rows by a hidden foreign key
    ):
        pages = [(await client.get(f"/admin/{path}")).text for client in (seller, buyer)]
        assert [text in page for page in pages] == [False, True], path


async def test_actions_on_all_rows_skip_hidden_fields(seller: AsyncClient) -> None:
    redirect = await seller.post("/admin/ware/delete?search=haggle", data={"all": "1"})
    assert "Lamp" not in (await seller.get(redirect.headers["location"])).text


async def test_exports_omit_hidden_fields(seller: AsyncClient, buyer: AsyncClient) -> None:
    words = ("cost", "7.00", "note", "Haggle", "buyer", "Atlantis", "Top")
    for url in ("/admin/ware/export/csv", "/admin/ware/export/json"):
        seller_page, full_page = [(await client.get(url)).text for client in (seller, buyer)]
        assert {"cost", "7.00", "note", "Haggle", "Atlantis"} <= {word for word in words if word in full_page}, url
        assert "Lamp" in seller_page, url
        assert [word for word in words if word in seller_page] == [], url


async def test_form_ignores_hidden_and_locked_values(app: FastAPI, seller: AsyncClient) -> None:
    form_data = {"name": "Lamp", "price": "5", "cost": "1", "note": "x", "status": "sold", "buyer_id": "1"}
    assert (await seller.post("/admin/ware/edit/1", data=form_data)).status_code == 303
    values = await read_values(app, "Lamp", "price", "cost", "note", "status", "buyer_id")
    assert values == (Decimal(5), Decimal(7), "Haggle", "new", 2)


FIELD_REFUSED = "The fields of this model have changed. Please choose the columns again."


async def test_imports_refuse_hidden_and_locked_fields(seller: AsyncClient) -> None:
    for name in ("cost", "note", "status", "buyer_id"):
        response = await upload_file(seller, "/admin/ware/import", f"name,price,{name}\nPen,1,1\n", column_3=name)
        assert response.status_code == 400, name
        assert FIELD_REFUSED in response.text, name
        assert f'value="{name}"' not in response.text, name
        content, choices = f"name,{name}\nLamp,1\n", {"updates": "1", "column_2": name}
        assert FIELD_REFUSED in (await upload_file(seller, "/admin/ware/import", content, **choices)).text, name


async def test_history_and_audit_log_omit_hidden_fields(app: FastAPI, admin: AsyncClient, seller: AsyncClient) -> None:
    form_data = {"name": "Lamp", "price": "5", "cost": "66.5", "note": "Secret", "status": "new"}
    assert (await admin.post("/admin/ware/edit/1", data=form_data)).status_code == 303
    number = await read_one(app, select(col(AuditEntry.id)).where(col(AuditEntry.action) == "update"))
    for page in ("/admin/ware/history/1", f"/admin/audit-entry/details/{number}", "/admin/audit-entry/export/csv"):
        seller_page, full_page = [(await client.get(page)) for client in (seller, admin)]
        assert (seller_page.status_code, full_page.status_code) == (200, 200), page
        assert "66.5" in full_page.text, page
        assert [word for word in ("66.5", "Secret", "Haggle", "cost", "Cost") if word in seller_page.text] == [], page
        assert "price" in seller_page.text.lower(), page


async def test_inlines_hide_and_lock_fields(app: FastAPI, seller: AsyncClient, buyer: AsyncClient) -> None:
    pages = [(await client.get("/admin/vendor/edit/1")).text for client in (seller, buyer)]
    shown = [[text in page for text in ("ware-1-cost", "Cost", "ware-1-status")] for page in pages]
    assert shown == [[False] * 3, [True] * 3]
    form_data = {"name": "Acme", "ware-1-name": "Lantern", "ware-1-cost": "1", "ware-1-status": "sold", "save": "Save"}
    assert (await seller.post("/admin/vendor/edit/1", data=form_data)).status_code == 303
    assert await read_values(app, "Lantern", "cost", "status") == (Decimal(7), "new")


async def test_inlines_show_locked_rows(app: FastAPI, buyer: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wares, "writable", lambda _self: col(Ware.name) != "Lamp")
    page = (await buyer.get("/admin/vendor/edit/1")).text
    assert "ware-1-name" not in page
    assert '<div class="form-control-plaintext">Lamp</div>' in page
    ware = {"ware-1-name": "Lantern", "ware-1-delete": "1"}
    form_data = {"name": "Acme", "region": "Atlantis", **ware, "save": "Save"}
    assert (await buyer.post("/admin/vendor/edit/1", data=form_data)).status_code == 303
    assert await read_values(app, "Lamp", "id") == (1,)


async def test_default_order_skips_hidden_fields(seller: AsyncClient, buyer: AsyncClient) -> None:
    pages = [(await client.get("/admin/ware/list")).text for client in (seller, buyer)]
    assert [page.index(">Mug<") < page.index(">Lamp<") for page in pages] == [True, False]
