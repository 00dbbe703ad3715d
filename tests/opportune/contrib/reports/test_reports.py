"""Reports of lists: groups, totals, time zones, permissions, limits and files."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Select, insert, update
from sqlmodel import col
from starlette.requests import Request

from opportune.admin.models import SavedView
from opportune.config.settings import Settings
from opportune.contrib.reports import groups
from opportune.contrib.reports.report import NO_NUMBER
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import Colour, Gadget, GadgetAdmin, Maker, MakerAdmin, gadgets
from tests.opportune.crud.shop_feature import Ware, shop
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows, execute, make_staff

URL = "/admin/gadget/report"
ROWS: list[dict[str, Any]] = [
    {"colour": Colour.RED, "maker_id": 1, "size": 3, "weight": Decimal("1.50"), "made_on": date(2026, 1, 31)},
    {"colour": Colour.RED, "maker_id": 2, "size": 4, "weight": None, "made_on": date(2026, 2, 1)},
    {"colour": Colour.DEEP_BLUE, "maker_id": 1, "size": 5, "weight": Decimal("2.25"), "made_on": date(2026, 7, 1)},
    {"colour": Colour.DEEP_BLUE, "maker_id": 1, "size": 8, "weight": Decimal("0.25"), "made_on": None},
]
SEEN = [datetime(2026, 3, 31, 21, 59, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)]
"""Before and after midnight in Vienna."""
WEIGHTS = "_group=colour&_split=maker_id&_measure=sum:weight"
SEEN += [datetime(2026, 12, 31, 22, 59, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)]


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with site_with(gadgets, settings) as app:
        await add_sample_rows(app)
        yield app


async def add_sample_rows(app: FastAPI) -> None:
    await add_rows(app, Maker(id=1, name="Acme"), Maker(id=2, name="<b>Bolt</b>"))
    for number, (values, seen_at) in enumerate(zip(ROWS, SEEN, strict=True)):
        await add_rows(app, Gadget(name=f"gadget {number}", seen_at=seen_at, **values))


async def read(client: AsyncClient, query: str, url: str = URL) -> list[list[str]]:
    """Return the texts of the table's cells, by line."""
    response = await client.get(f"{url}?{query}")
    assert response.status_code == 200, response.text
    table = response.text.partition("<table")[2].partition("</table>")[0]
    rows = re.findall(r"<tr>.*?</tr>|<tr class.*?</tr>", table)
    lines = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    return [[unescape(re.sub(r"<a [^>]*>|</a>", "", cell)) for cell in line] for line in lines]


TABLES: dict[str, list[str]] = {
    "_group=colour": ["Deep blue 2", "Red 2", "Total 4"],
    "_group=maker_id": ["Acme 3", "<b>Bolt</b> 1", "Total 4"],
    "_group=colour&_measure=sum:size": ["Deep blue 13", "Red 7", "Total 20"],
    "_group=colour&_measure=avg:weight": ["Deep blue 1.25", "Red 1.50", "Total 1.33"],
    "_group=maker_id&_measure=max:weight": ["Acme 2.25", f"<b>Bolt</b> {NO_NUMBER}", "Total 2.25"],
    "_group=colour&_split=maker_id": [f"Deep blue 2 {NO_NUMBER} 2", "Red 1 1 2", "Total 3 1 4"],
    "_group=made_on:quarter": ["Q1 2026 2", "Q2 2026 0", "Q3 2026 1", "Empty 1", "Total 4"],
    "_group=colour&size__gte=4": ["Deep blue 2", "Red 1", "Total 3"],
    "_group=colour&search=gadget+0": ["Red 1", "Total 1"],
}
MONTHS: dict[str, list[str]] = {
    "UTC": ["Mar 2026 2", "Dec 2026 2"],
    "Europe/Vienna": ["Mar 2026 1", "Apr 2026 1", "Dec 2026 1", "Jan 2027 1"],
    "Asia/Kathmandu": ["Apr 2026 2", "Jan 2027 2"],
}


@pytest.mark.database("sqlite", "postgresql")
async def test_report_groups_the_rows_of_the_list(admin: AsyncClient) -> None:
    for query, lines in TABLES.items():
        assert [" ".join(line) for line in (await read(admin, query))[1:]] == lines, query


@pytest.mark.database("sqlite", "postgresql")
async def test_months_begin_in_the_time_zone(admin: AsyncClient) -> None:
    for zone, months in MONTHS.items():
        admin.cookies.set("time_zone", zone)
        *lines, total = (await read(admin, "_group=seen_at:month"))[1:]
        assert [" ".join(line) for line in lines if line[1] != "0"] == months, zone
        assert total == ["Total", "4"]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("unit", ["day", "week", "quarter"])
async def test_periods_end_with_the_calendar(app: FastAPI, admin: AsyncClient, unit: str) -> None:
    for at in (datetime(1, 1, 1, 12, tzinfo=UTC), datetime(9999, 12, 31, 12, tzinfo=UTC)):
        await add_rows(app, Gadget(name=f"year {at.year}", maker_id=1, seen_at=at, made_on=at.date()))
    for zone, language in (("Pacific/Auckland", "en"), ("America/Los_Angeles", "ar")):
        admin.cookies.set("time_zone", zone)
        for name in ("made_on", "seen_at"):
            page = await admin.get(f"{URL}?_group={name}:{unit}", headers={"Accept-Language": language})
            assert (page.status_code, f"{name}__lte=9999-12-31" in page.text) == (200, True), (zone, name)


@pytest.mark.database("sqlite", "postgresql")
async def test_small_and_old_groups_are_the_rest(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MAX_LINES", 1)
    monkeypatch.setattr(groups, "MAX_SPLITS", 1)
    lines = (await read(admin, "_group=maker_id&_measure=sum:size"))[1:]
    assert [" ".join(line) for line in lines] == ["Acme 16", "The rest 4", "Total 20"]
    lines = (await read(admin, "_group=made_on:week"))[1:]
    assert [" ".join(line) for line in lines] == ["Earlier 2", "Week from 29 Jun 2026 1", "Empty 1", "Total 4"]
    assert (await read(admin, "_group=colour&_split=maker_id"))[0][1:] == ["Acme", "The rest", "Total"]


@pytest.mark.parametrize(("language", "line"), [("en", "Deep blue,2.50,,2.50"), ("de", "Deep blue;2,50;;2,50")])
async def test_report_is_downloaded_as_csv(admin: AsyncClient, language: str, line: str) -> None:
    response = await admin.get(f"{URL}/csv?{WEIGHTS}", headers={"Accept-Language": language})
    assert line in response.content.decode("utf-8-sig").splitlines()
    assert (await admin.get(f"{URL}/pdf?{WEIGHTS}")).status_code == 404


async def test_headings_of_a_report_are_not_formulas(app: FastAPI, admin: AsyncClient) -> None:
    await execute(app, update(Maker).values(name="=1+1"))
    response = await admin.get(f"{URL}/csv?{WEIGHTS}")
    assert "Colour,'=1+1,'=1+1,Total" in response.content.decode("utf-8-sig").splitlines()


REFUSALS = {
    "_group=name": "uses the field “name”, which does not exist or which you may not see",
    "_group=colour&_split=colour": "Group by two different fields.",
    "_group=colour&_measure=sum:name": "uses the field “sum:name”",
}


async def test_impossible_field_is_refused(admin: AsyncClient) -> None:
    for query, message in REFUSALS.items():
        response = await admin.get(f"{URL}?{query}")
        assert response.status_code == 422, query
        assert message in unescape(response.text), query


async def test_slow_report_is_stopped(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.statement_limits.INSTRUCTIONS_PER_CHECK", 1)
    monkeypatch.setattr("opportune.contrib.reports.pages.MAX_SECONDS", -1)
    assert "This report takes too long." in (await admin.get(f"{URL}?_group=colour")).text
    assert (await admin.get("/admin/gadget/list")).status_code == 200


class OwnGadgetAdmin(GadgetAdmin, model=Gadget):
    """Lists one gadget to staff."""

    def list_query(self, request: Request) -> Select[Any]:
        rows = super().list_query(request)
        return rows if request.state.user.is_superuser else rows.where(col(Gadget.name) == "gadget 1")


async def test_report_has_only_rows_that_the_user_may_list(settings: Settings) -> None:
    feature = replace(gadgets, admin=replace(gadgets.admin, views=(MakerAdmin, OwnGadgetAdmin)))
    async with site_with(feature, settings) as app:
        await add_sample_rows(app)
        staff = await make_user(app.state.database, "staff@example.com", is_staff=True)
        async with signed_in_client(app, staff) as client:
            assert (await client.get(URL)).status_code == 403
        group = await add_permission(app.state.database, staff, "gadget", "list")
        root = await make_user(app.state.database, "root@example.com", is_superuser=True)
        view: dict[str, Any] = {"id": 1, "identity": "gadget", "name": "All", "query": "_group=maker_id"}
        await add_rows(app, SavedView(owner_id=root.id, group_id=group.id, **view))
        async with signed_in_client(app, staff) as client:
            url = (await client.get("/admin/gadget/views/1")).headers["location"]
            assert (await read(client, url.partition("?")[2]))[1:] == [["Maker 2", "1"], ["Total", "1"]]
            assert (await client.get(f"{URL}/csv?_group=colour")).status_code == 403


async def test_hidden_field_cannot_be_measured(settings: Settings) -> None:
    async with site_with(shop, settings) as app:
        await execute(app, insert(Ware).values(name="Lamp", cost=Decimal(1)))
        seller = await make_staff(app, "ware.list")
        async with signed_in_client(app, seller) as client:
            page = (await client.get("/admin/ware/report?_group=created_at:month&_measure=sum:cost")).text
        assert [text in page for text in ("Cost", "which you may not see")] == [False, True]
