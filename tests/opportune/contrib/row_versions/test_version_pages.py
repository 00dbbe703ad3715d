"""Versions on the history page of a row, and the page that restores one."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select, update
from sqlmodel import col

from opportune.admin.log.change_rows import ABSENT
from opportune.admin.models import AuditEntry, RowVersion
from opportune.db import utc_now
from opportune.testing.factories import signed_in_client
from tests.opportune.contrib.row_versions.leaflet_feature import BANNED, Editor, Leaflet
from tests.opportune.stored_rows import execute, get_row, make_staff, read_one

HISTORY = "/admin/leaflet/history/1"
VERSION = "/admin/leaflet/version/1"


def _words(response: Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub("</?bdi[^>]*>", "", response.text)))


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


async def test_restore_asks_first(app: FastAPI, admin: AsyncClient) -> None:
    response = await admin.get(f"{VERSION}?number=1")
    text = _words(response)
    assert response.status_code == 200
    assert "Title: Cocoa became Tea" in text
    assert f"Editor: {ABSENT} became Ann" in text
    assert "you cannot edit it in the form: Number." in text
    assert (await _read_leaflet(app)).title == "Cocoa"
    text = _words(await admin.get(f"{VERSION}?number=3"))
    assert "The row already has these values." in text
    assert "Yes, restore" not in text


async def test_restored_version(app: FastAPI, admin: AsyncClient) -> None:
    response = await admin.post(f"{VERSION}?number=1")
    assert (response.status_code, response.headers["location"].endswith(HISTORY)) == (303, True)
    leaflet = await _read_leaflet(app)
    assert (leaflet.title, leaflet.body, leaflet.editor_id) == ("Tea", "One\nTwo\nThree", 1)
    assert (leaflet.price, leaflet.is_free, leaflet.status) == (None, False, "draft")
    assert leaflet.number == 2
    assert "Version 1 was restored." in (await admin.get(HISTORY)).text
    entry = await read_one(app, select(AuditEntry))
    assert (entry.action, entry.changes["title"]) == ("update", ["Cocoa", "Tea"])
    newest = await read_one(app, select(RowVersion).where(col(RowVersion.number) == 4))
    assert newest.channel == "admin"


@pytest.mark.parametrize(("title", "message"), [(BANNED, "This title is banned."), ("", "Title:")])
async def test_hook_or_form_refuses_a_restoration(app: FastAPI, admin: AsyncClient, title: str, message: str) -> None:
    first = await read_one(app, select(RowVersion).where(col(RowVersion.number) == 1))
    values = first.values | {"title": title}
    await execute(app, update(RowVersion).where(col(RowVersion.number) == 1).values(values=values))
    response = await admin.post(f"{VERSION}?number=1")
    assert response.status_code == 400
    assert message in response.text
    assert (await _read_leaflet(app)).title == "Cocoa"


async def test_deleted_related_row_is_one_line(app: FastAPI, admin: AsyncClient) -> None:
    await execute(app, update(Editor).values(deleted_at=utc_now()))
    assert (await admin.post(f"{VERSION}?number=1")).status_code == 303
    assert "Version 1 cannot be restored: its editor no longer exists." in (await admin.get(HISTORY)).text
    assert (await _read_leaflet(app)).title == "Cocoa"


async def test_unknown_version_is_not_found(admin: AsyncClient) -> None:
    addresses = [VERSION, f"{VERSION}?number=9", f"{VERSION}?number=x", "/admin/leaflet/version/9"]
    for address in (*addresses, "/admin/editor/version/1?number=1"):
        assert (await admin.get(address)).status_code == 404, address
        assert (await admin.post(address)).status_code == 404, address


async def test_restore_needs_the_permission_to_update(app: FastAPI) -> None:
    async with signed_in_client(app, await make_staff(app, "leaflet.list", "leaflet.get")) as client:
        history = (await client.get(HISTORY)).text
        assert "Version 3" in history
        assert "?number=" not in history
        assert "Ann" not in history
        assert (await client.get(f"{VERSION}?number=1")).status_code == 403
        assert (await client.post(f"{VERSION}?number=1")).status_code == 403
    assert (await _read_leaflet(app)).title == "Cocoa"
