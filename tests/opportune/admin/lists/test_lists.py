"""Actions on rows of a list: select, confirm, delete with related rows, filter and export."""

import csv
import io
import re
from datetime import date
from decimal import Decimal
from html import unescape
from pathlib import PurePath
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import insert, select
from sqlmodel import col

from opportune.accounts.models import ApiToken, User
from opportune.admin.models import AuditEntry
from opportune.contrib.import_export.cells import csv_cell, csv_response, unescape_formula
from opportune.db.clock import utc_now
from opportune.i18n import use_language
from opportune.testing.factories import make_user
from tests.opportune.admin.gadget_feature import Gadget, Maker, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, count, read_all, read_one

CONFIRMED = {"confirmed": "yes"}
POLISH_ACTION = "/admin/gadget/action/polish"
app = site_fixture(gadgets, make_makers)


@pytest.fixture
async def sixty_gadgets(app: FastAPI) -> None:
    await add_rows(app, *[Gadget(name=f"gadget {number}", maker_id=1, size=2 * number) for number in range(1, 61)])


async def read_polished_names(app: FastAPI) -> list[str]:
    polished = select(col(Gadget.name)).where(col(Gadget.notes) == "polished")
    return await read_all(app, polished.order_by(col(Gadget.id)))


def extract_pks(page: str) -> str:
    (pks,) = re.findall(r'name="pks" value="([\d,]*)"', page)
    return str(pks)


async def test_action_is_confirmed_with_selected_rows(app: FastAPI, admin: AsyncClient, sixty_gadgets: None) -> None:
    page = await admin.post(f"{POLISH_ACTION}?size__lte=8&page=1", data={"pk": ["1", "2"]})
    assert page.status_code == 200
    for text in ("Polish them?", "Gadget 1", "Gadget 2"):
        assert text in page.text
    assert "Gadget 3" not in page.text
    assert await read_polished_names(app) == []
    list_url = "/admin/gadget/list?size__lte=8&page=1"
    assert f'href="{list_url}"' in unescape(page.text)
    await admin.post(POLISH_ACTION, data={"pks": extract_pks(page.text), **CONFIRMED})
    assert await read_polished_names(app) == ["gadget 1", "gadget 2"]
    recorded = await read_all(app, select(AuditEntry).where(col(AuditEntry.action) == "action:polish"))
    assert {entry.row_id for entry in recorded} == {"1", "2"}


async def test_selection_of_all_includes_other_pages(app: FastAPI, admin: AsyncClient, sixty_gadgets: None) -> None:
    url = f"{POLISH_ACTION}?size__gte=11&page=2"
    page = (await admin.post(url, data={"all": "1", "pk": "60"})).text
    assert [text in page for text in ("for 55 gadgets", "and 5 more.")] == [True, True]
    await admin.post(url, data={"pks": extract_pks(page), **CONFIRMED})
    assert len(await read_polished_names(app)) == 55
    assert "gadget 5" not in await read_polished_names(app)


async def test_empty_and_too_large_selections_are_refused(
    app: FastAPI, admin: AsyncClient, sixty_gadgets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.admin.lists.actions.MAX_ROWS_PER_ACTION", 50)
    for form_data in ({"all": "1", **CONFIRMED}, CONFIRMED):
        for path in (POLISH_ACTION, "/admin/gadget/delete"):
            response = await admin.post(f"{path}?search=gadget", data=form_data)
            assert response.headers["location"] == "/admin/gadget/list?search=gadget"
    page = (await admin.get("/admin/gadget/list?search=nothing")).text
    assert (page.count("Select at most 50 gadgets."), page.count("Select at least one row.")) == (2, 2)
    assert await read_polished_names(app) == []


async def test_deletion_needs_a_confirmed_post(app: FastAPI, admin: AsyncClient, sixty_gadgets: None) -> None:
    url = "/admin/gadget/delete?pks=1"
    assert (await admin.get(url + "&confirmed=yes")).status_code == 200
    assert (await admin.post(url)).status_code == 200
    assert (await admin.delete(url)).status_code == 405
    assert await count(app, Gadget) == 60


async def test_deletion_counts_cascading_rows(app: FastAPI, admin: AsyncClient) -> None:
    user = await make_user(app.state.database, "many@example.com")
    async with app.state.database.writer() as session:
        token = {"user_id": user.id, "name": "a program", "expires_at": utc_now(), "scopes": "*"}
        rows = [{**token, "token_hash": str(number)} for number in range(30)]
        await session.execute(insert(ApiToken), rows)
    page = unescape((await admin.get(f"/admin/user/delete?pks={user.id}")).text)
    assert "Delete 1 user? This cannot be undone." in page
    assert [text in page for text in ("30 API tokens: <a href=", " and 25 more</li>")] == [True, True]
    response = await admin.post(f"/admin/user/delete?pks={user.id}&search=many&page=1", data=CONFIRMED)
    assert response.headers["location"] == "/admin/user/list?search=many&page=1"
    assert await count(app, ApiToken) == 0


async def test_active_filters_can_be_removed(admin: AsyncClient, sixty_gadgets: None) -> None:
    query = "search=gadget&state=new&state=used&size__gte=4&maker_id=1&page=2"
    page = unescape((await admin.get(f"/admin/gadget/list?{query}")).text)
    chips = {text: href for href, text in re.findall(r'chip" href="([^"]*)"[^>]*>([^<]*)<', page)}
    assert list(chips) == ["“gadget”", "Maker: Acme", "State: New", "State: Used", "Size from 4", "Clear all"]
    without_used = "/admin/gadget/list?search=gadget&state=new&size__gte=4&maker_id=1"
    assert chips["State: Used"] == without_used
    assert chips["Clear all"] == "/admin/gadget/list"
    assert "chip" not in (await admin.get("/admin/gadget/list?sortBy=size&sort=asc&page=2")).text


async def test_row_that_others_require_cannot_be_deleted(admin: AsyncClient, sixty_gadgets: None) -> None:
    page = (await admin.get("/admin/maker/delete?pks=1,2")).text
    assert "These still refer to it." in page
    assert "60 gadgets: " in page
    assert '<a href="/admin/gadget/details/1">Gadget 1</a>, ' in page
    assert "Yes, delete" not in page
    assert "Yes, delete" in (await admin.get("/admin/maker/delete?pks=2")).text
    page = (await admin.get("/admin/maker/delete?pks=1")).text
    assert '<a href="/admin/gadget/list?maker_id=1">60 gadgets</a>' in page


async def test_export_keeps_the_order_and_is_logged(
    app: FastAPI, admin: AsyncClient, superuser: User, sixty_gadgets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.contrib.import_export.export.EXPORT_BATCH_ROWS", 2)
    query = "sortBy=size&sort=desc&size__gte=113&search=gadget"
    text = (await admin.get(f"/admin/gadget/export/csv?{query}")).text
    assert [row["size"] for row in csv.DictReader(io.StringIO(text))] == ["120", "118", "116", "114"]
    entry = await read_one(app, AuditEntry)
    assert (entry.actor, entry.action, entry.identity) == (superuser.email, "export", "gadget")
    assert entry.title == f"csv {query}"
    (row, *_) = (await admin.get(f"/admin/gadget/export/json?{query}&columns=size,maker_id")).json()
    assert row == {"size": 120, "maker_id": 1}


@pytest.mark.parametrize("text", ["=1+1", " =1", "\n+1", "-1", "@sum", "\uff1d1", "\u00a0=1", "''-1", "\tx", "\rx"])
def test_formulas_are_escaped_in_exports(text: str) -> None:
    assert csv_cell(text) == f"'{text}"
    assert unescape_formula(csv_cell(text)) == text


def test_download_of_csv_escapes_formulas() -> None:
    rows: list[list[Any]] = [["name", Maker(name="-1")], ["=1", Decimal("-9.90")], [PurePath("@x"), date(2026, 11, 3)]]
    response = csv_response("a b.csv", rows)
    assert response.body == b"\xef\xbb\xbfname,'-1\r\n'=1,-9.90\r\n'@x,2026-11-03\r\n"
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20b.csv"
    with use_language("de"):
        assert bytes(csv_response("", rows).body).endswith(b"'=1;-9,90\r\n'@x;03.11.2026\r\n")


@pytest.mark.parametrize("text", ["a=1", "'quoted'", "", "1-1"])
def test_harmless_cell_is_not_escaped(text: str) -> None:
    assert csv_cell(text) == text == unescape_formula(text)


async def test_action_on_all_pages_is_confirmed(
    app: FastAPI, admin: AsyncClient, sixty_gadgets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.admin.lists.actions.action_question", lambda *_: "")
    page = await admin.post(f"{POLISH_ACTION}?size__lte=6", data={"all": "1"})
    assert "“Polish” for 3 gadgets:" in page.text
    assert await read_polished_names(app) == []
    await admin.post(POLISH_ACTION, data={"pk": ["1", "2"]})
    assert await read_polished_names(app) == ["gadget 1", "gadget 2"]
