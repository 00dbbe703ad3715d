"""Versions on the history page of a row, and the page that restores one."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.log.change_rows import ABSENT
from opportune.admin.models import AuditEntry, RowVersion
from opportune.contrib.row_versions import pages, versions
from opportune.testing.factories import add_permission, signed_in_client
from tests.opportune.contrib.row_versions.leaflet_feature import BANNED, Editor, Leaflet
from tests.opportune.stored_rows import get_row, make_staff

HISTORY = "/admin/leaflet/history/1"
VERSION = "/admin/leaflet/version/1"


def _words(response: Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.text))


async def _read_leaflet(app: FastAPI) -> Leaflet:
    leaflet: Leaflet = await get_row(app, Leaflet, 1)
    return leaflet


async def test_history_has_versions_with_differences(admin: AsyncClient) -> None:
    text = _words(await admin.get(HISTORY))
    assert "Version 3 Current" in text
    assert "Title: Coffee became Cocoa" in text
    assert f"Price: {ABSENT} became 1.50" in text
    assert f"Editor: Ann became {ABSENT}" in text
    assert "One - Two + Two! Three" in text
    assert "Version 1" in text


async def test_history_does_not_repeat_changes(app: FastAPI, admin: AsyncClient) -> None:
    form = {"title": "Juice", "status": "draft", "tags": "{}", "save": "Save"}
    assert (await admin.post("/admin/leaflet/edit/1", data=form)).status_code == 303
    text = _words(await admin.get(HISTORY))
    assert text.count("Cocoa became Juice") == 1
    assert "Version 4 Current root@example.com" in text


async def test_older_versions_have_another_page(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "VERSIONS_PER_PAGE", 2)
    page = (await admin.get(HISTORY)).text
    assert "Version 1" not in page
    assert "?version=2" in page
    older = _words(await admin.get(f"{HISTORY}?version=2"))
    assert "Version 1" in older
    assert "Current" not in older


async def test_restore_asks_first(app: FastAPI, admin: AsyncClient) -> None:
    response = await admin.get(f"{VERSION}?number=1")
    text = _words(response)
    assert response.status_code == 200
    assert "Title: Cocoa became Tea" in text
    assert f"Editor: {ABSENT} became Ann" in text
    assert "you cannot edit it in the form: Number." in text
    assert (await _read_leaflet(app)).title == "Cocoa"


async def test_restored_version(app: FastAPI, admin: AsyncClient) -> None:
    response = await admin.post(f"{VERSION}?number=1")
    assert (response.status_code, response.headers["location"].endswith(HISTORY)) == (303, True)
    leaflet = await _read_leaflet(app)
    assert (leaflet.title, leaflet.body, leaflet.editor_id) == ("Tea", "One\nTwo\nThree", 1)
    assert (leaflet.price, leaflet.is_free, leaflet.status) == (None, False, "draft")
    assert leaflet.number == 2
    assert "Version 1 was restored." in (await admin.get(HISTORY)).text


async def test_restoration_is_logged_and_kept(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post(f"{VERSION}?number=1")
    async with app.state.database.reader(fresh=True) as session:
        entry = (await session.scalars(select(AuditEntry))).one()
        newest = (await versions(session, await session.get_one(Leaflet, 1)))[0]
    assert (entry.action, entry.changes["title"]) == ("update", ["Cocoa", "Tea"])
    assert (newest.number, newest.channel) == (4, "admin")


async def test_hook_refuses_a_restoration(app: FastAPI, admin: AsyncClient) -> None:
    async with app.state.database.writer() as session:
        first = await session.scalar(select(RowVersion).where(col(RowVersion.number) == 1))
        first.values = first.values | {"title": BANNED}
    response = await admin.post(f"{VERSION}?number=1")
    assert response.status_code == 400
    assert "This title is banned." in response.text
    assert (await _read_leaflet(app)).title == "Cocoa"


async def test_form_refuses_a_value(app: FastAPI, admin: AsyncClient) -> None:
    async with app.state.database.writer() as session:
        first = await session.scalar(select(RowVersion).where(col(RowVersion.number) == 1))
        first.values = first.values | {"title": ""}
    response = await admin.post(f"{VERSION}?number=1")
    assert response.status_code == 400
    assert "Title:" in response.text
    assert (await _read_leaflet(app)).title == "Cocoa"


async def test_deleted_related_row_is_one_line(app: FastAPI, admin: AsyncClient) -> None:
    async with app.state.database.writer() as session:
        await session.delete(await session.get_one(Editor, 1))
    assert (await admin.post(f"{VERSION}?number=1")).status_code == 303
    assert "Version 1 cannot be restored: its editor no longer exists." in (await admin.get(HISTORY)).text
    assert (await _read_leaflet(app)).title == "Cocoa"


async def test_current_version_has_nothing_to_restore(admin: AsyncClient) -> None:
    text = _words(await admin.get(f"{VERSION}?number=3"))
    assert "The row already has these values." in text
    assert "Yes, restore" not in text


async def test_unknown_version_is_not_found(admin: AsyncClient) -> None:
    for address in (f"{VERSION}?number=9", VERSION, f"{VERSION}?number=x", "/admin/leaflet/version/9"):
        assert (await admin.get(address)).status_code == 404, address
        assert (await admin.post(address)).status_code == 404, address


async def test_model_without_versions_is_not_found(admin: AsyncClient) -> None:
    assert (await admin.get("/admin/editor/version/1?number=1")).status_code == 404


async def test_anonymous_visitor_signs_in_first(app: FastAPI, client: AsyncClient) -> None:
    assert "/accounts/login" in (await client.get(f"{VERSION}?number=1")).headers["location"]


async def test_restore_needs_the_permission_to_update(app: FastAPI) -> None:
    staff = await make_staff(app)
    for action in ("list", "get"):
        await add_permission(app.state.database, staff, "leaflet", action)
    async with signed_in_client(app, staff) as client:
        history = (await client.get(HISTORY)).text
        assert "Version 3" in history
        assert "?number=" not in history
        assert "Ann" not in history
        assert (await client.get(f"{VERSION}?number=1")).status_code == 403
        assert (await client.post(f"{VERSION}?number=1")).status_code == 403
    assert (await _read_leaflet(app)).title == "Cocoa"
