"""Permissions and rows are checked again in the transaction that changes data."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_object_session
from sqlmodel import col

from opportune.admin import UserAdmin, ValidationRefused, session_of
from opportune.admin.models import AuditEntry
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import GADGET_FORM, Gadget, GadgetAdmin, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, make_staff, read_all, read_logged_actions

CONFIRMED = {"confirmed": "yes"}
app = site_fixture(gadgets, make_makers)


async def read_gadget_names(app: FastAPI) -> list[str]:
    return await read_all(app, select(col(Gadget.name)).order_by(col(Gadget.id)))


async def allow_outside_transaction(_self: Any, _request: Any, row: Any) -> bool:
    """Permission check that refuses rows in a transaction."""
    return async_object_session(row) is None


async def test_transaction_checks_permission(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await admin.post("/admin/gadget/create", data=GADGET_FORM)
    monkeypatch.setattr(GadgetAdmin, "check_can_edit", allow_outside_transaction)
    monkeypatch.setattr(GadgetAdmin, "check_can_delete", allow_outside_transaction)
    assert (await admin.get("/admin/gadget/edit/1")).status_code == 200
    assert (await admin.post("/admin/gadget/edit/1", data=GADGET_FORM | {"name": "Hammer"})).status_code == 403
    assert (await admin.get("/admin/gadget/delete?pks=1")).status_code == 200
    assert (await admin.post("/admin/gadget/delete?pks=1", data=CONFIRMED)).status_code == 403
    assert await read_gadget_names(app) == ["Anvil"]
    assert await read_logged_actions(app) == ["create"]


async def test_action_on_rows_is_atomic(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [await make_user(app.state.database, f"{name}@example.com", is_active=False) for name in ("ann", "bob")]

    def has_permission(_self: Any, _request: Any, _action: str, obj: Any = None) -> bool:
        return obj is None or obj.email == "ann@example.com"

    with monkeypatch.context() as patch:
        patch.setattr(UserAdmin, "has_permission", has_permission)
        url = f"/admin/user/action/activate?pks={users[0].id},{users[1].id}"
        assert (await admin.post(url, data=CONFIRMED)).status_code == 403
    assert await read_logged_actions(app) == []
    assert (await admin.post(f"{url},999", data=CONFIRMED)).status_code == 404
    assert await read_logged_actions(app) == []
    await admin.post(url, data=CONFIRMED)
    assert await read_logged_actions(app) == ["action:activate"] * 2
    assert "2 users: may sign in again." in (await admin.get("/admin/user/list")).text


async def test_rows_outside_the_list_are_404(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await admin.post("/admin/gadget/create", data=GADGET_FORM)
    assert "gadget/details/1" in (await admin.get("/admin/?complete=1")).text
    with monkeypatch.context() as patch:
        patch.setattr(GadgetAdmin, "list_query", lambda *_: select(Gadget).where(col(Gadget.name) != "Anvil"))
        for page in ("details/1", "edit/1", "history/1", "delete?pks=1"):
            assert (await admin.get(f"/admin/gadget/{page}")).status_code == 404, page
        assert (await admin.post("/admin/gadget/edit/1", data=GADGET_FORM)).status_code == 404
        assert (await admin.post("/admin/gadget/delete?pks=1", data=CONFIRMED)).status_code == 404
        assert "gadget/details/1" not in (await admin.get("/admin/?complete=1")).text
    assert "Create" in (await admin.get("/admin/gadget/history/1")).text
    await admin.post("/admin/gadget/delete?pks=1", data=CONFIRMED)
    assert "(deleted)" in (await admin.get("/admin/gadget/history/1")).text


async def test_log_omits_hidden_columns(app: FastAPI, admin: AsyncClient) -> None:
    changes = {"email": ["a@example.com", "b@example.com"], "totp_step": [98765, 98766]}
    await add_rows(app, AuditEntry(action="update", identity="user", row_id="7", changes=changes))
    for page in ("audit-entry/details/1", "audit-entry/export/json", "audit-entry/export/csv", "user/history/7"):
        text = (await admin.get(f"/admin/{page}")).text
        assert "b@example.com" in text, page
        assert "98766" not in text, page
    staff = await make_staff(app, "gadget.list")
    async with signed_in_client(app, staff) as client:
        url = "/admin/gadget/list?maker_id=1"
        page = (await client.get(url)).text
        assert "Maker: 1" in page
        assert "Acme" not in page
        await add_permission(app.state.database, staff, "maker", "list")
        assert "Maker: Acme" in (await client.get(url)).text


async def test_hook_can_query_the_database(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def allow_one_gadget(_self: Any, data: Any, model: Any, is_created: bool, request: Any) -> None:
        count = await session_of(model).scalar(select(func.count()).select_from(Gadget))
        if is_created and count:
            raise ValidationRefused("One is enough.")
        data["notes"] = f"{count} before"

    monkeypatch.setattr(GadgetAdmin, "on_model_change", allow_one_gadget)
    assert (await admin.post("/admin/gadget/create", data=GADGET_FORM)).status_code == 303
    assert (await admin.post("/admin/gadget/edit/1", data=GADGET_FORM | {"name": "Hammer"})).status_code == 303
    response = await admin.post("/admin/gadget/create", data=GADGET_FORM)
    assert (response.status_code, "One is enough." in response.text) == (400, True)
    assert await read_gadget_names(app) == ["Hammer"]
