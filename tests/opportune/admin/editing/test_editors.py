"""Notices in a form: other users who have it open, and the last change since it was opened."""

import asyncio
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.admin.editing.editors import MAX_ROWS, PRESENT_SECONDS, Editors
from opportune.db import utc_now
from opportune.db.bus import MemoryBus
from opportune.db.bus.redis import RedisBus
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.editing.parts_feature import edit_cell

ROW = ("part", "1")
DELAY = "load delay:20s"
OUT_OF_RANGE = ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00")


def url(pk: int = 1, minutes: int = 1) -> str:
    """Return the URL of the notices of a form that was opened some minutes ago."""
    since = (utc_now() - timedelta(minutes=minutes)).isoformat().replace("+", "%2B")
    return f"/admin/part/editors/{pk}?since={since}"


async def test_form_asks_for_notices_for_an_hour(admin: AsyncClient) -> None:
    assert "/admin/part/editors/1?since=" in (await admin.get("/admin/part/edit/1")).text
    page = (await admin.get(url())).text
    assert ("alert" in page, DELAY in page) == (False, True)
    assert DELAY not in (await admin.get(url(minutes=61))).text


async def test_other_editors_and_their_changes_are_named(app: FastAPI, admin: AsyncClient) -> None:
    await admin.get(url())
    ann = await make_user(app.state.database, email="ann@example.com", display_name="Ann", is_superuser=True)
    async with signed_in_client(app, ann) as client:
        assert "root@example.com has this form open, too." in (await client.get(url())).text
        await edit_cell(client, "name", "screw")
        assert "changed" not in (await client.get(url())).text
    page = (await admin.get(url())).text
    assert [text in page for text in ("Ann has this form open, too.", "Ann has changed this row")] == [True, True]
    assert "changed" not in (await admin.get(url(minutes=-1))).text, "the form was opened after the change"


async def test_wrong_time_is_refused(admin: AsyncClient) -> None:
    for since in ("", "yesterday", "2026-11-25T10:00:00", *OUT_OF_RANGE):
        assert (await admin.get(f"/admin/part/editors/1?since={since}")).status_code == 422, since


async def test_user_who_may_not_edit_is_refused(app: FastAPI) -> None:
    user = await make_user(app.state.database, email="reader@example.com")
    await add_permission(app.state.database, user, "part", "list")
    async with signed_in_client(app, user) as client:
        assert (await client.get(url())).status_code == 403


def test_user_who_has_left_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    editors = Editors(MemoryBus())
    editors.add(ROW, "ann@example.com")
    monkeypatch.setattr("opportune.admin.editing.editors.PRESENT_SECONDS", -PRESENT_SECONDS)
    assert editors.add(ROW, "ben@example.com") == []


def test_oldest_forms_are_forgotten() -> None:
    editors = Editors(MemoryBus())
    for number in range(MAX_ROWS + 1):
        editors.add(("part", str(number)), "ann@example.com")
    assert editors.add(("part", "0"), "ben@example.com") == []
    assert editors.add(("part", str(MAX_ROWS)), "ben@example.com") == ["ann@example.com"]


async def test_editors_of_other_processes_are_named(redis_url: str) -> None:
    bus, other_bus = RedisBus(redis_url), RedisBus(redis_url)
    editors, other = Editors(bus), Editors(other_bus)
    async with asyncio.timeout(60), bus.listening():
        while editors.add(ROW, "ann@example.com") == []:
            other.add(ROW, "ben@example.com")
            await asyncio.sleep(0.02)
    assert editors.add(ROW, "ann@example.com") == ["ben@example.com"]
    await bus.close()
    await other_bus.close()
