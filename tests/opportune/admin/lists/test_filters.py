"""Filters of a list: comparisons, ranges, days in the visitor's time zone, and the URLs they make."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from html import unescape
from typing import Any, Literal

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import inspect
from sqlmodel import Field
from starlette.datastructures import QueryParams

from opportune.admin.lists.range_filters import RangeFilter
from opportune.admin.lists.view_filters import _column_filter
from opportune.db.queries.paths import AttributePath
from tests.opportune.admin.gadget_feature import Colour, Gadget, GadgetAdmin
from tests.opportune.stored_rows import add_rows
from tests.opportune.tables import UnmigratedTable

LIST = "/admin/gadget/list"
NOW = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)
"""Half an hour after midnight of 10 March in Vienna."""
GADGETS: dict[str, dict[str, Any]] = {
    "one": {"size": 1, "made_on": date(2026, 3, 1), "seen_at": datetime(2024, 5, 7, tzinfo=UTC)},
    "five": {"maker_id": 2, "size": 5, "made_on": date(2026, 3, 5), "state": "used", "spare_id": 1},
    "nine": {"size": 9, "seen_at": datetime(2026, 3, 9, 12, 30, tzinfo=UTC), "weight": Decimal(1)},
    "late": {"size": 20, "seen_at": datetime(2026, 3, 9, 23, 1, tzinfo=UTC), "colour": Colour.DEEP_BLUE},
}


class Opening(UnmigratedTable, table=True):
    opens_at: time
    hall: Literal["empty", "full"] | None = Field(default=None, max_length=9)


@pytest.fixture
async def app(app_with_gadgets: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr("opportune.admin.lists.range_filters.utc_now", lambda: NOW)
    gadgets = (Gadget(**{"name": name, "maker_id": 1, **values}) for name, values in GADGETS.items())
    await add_rows(app_with_gadgets, *gadgets)
    return app_with_gadgets


async def list_names(admin: AsyncClient, query: str) -> str:
    rows = (await admin.get(f"/admin/gadget/export/json?{query}")).json()
    return " ".join(row["name"] for row in rows)


QUERIES_BY_NAMES = {
    "": (
        *("size__gte=9e99", f"size={'9' * 30}", "size__gte=much", "weight=1&weight_op=bogus", "weight__lte=nan"),
        *("state=new&state=bogus", "maker_id_op=not&maker_id=Acme", "made_on__lte=31.2.2026"),
    ),
    "one": ("made_on__gte=2026-03-01&made_on__lte=2026-03-04", "seen_at__lte=2026-03-09T12:29"),
    "five": (
        *("size__gte=2&size__lte=8", "state_op=not&state=new", "maker_id=2", "maker_id_op=not&maker_id=1"),
        *("made_on_op=last_7_days", "seen_at_op=empty"),
    ),
    "nine": ("weight_op=filled",),
    "late": ("colour=deep_blue",),
    "one five": ("size__lte=5", "size=5&size_op=less_than", "made_on__lte=9999-12-31", "made_on_op=this_month"),
    "five one": ("sortBy=maker_id&sort=desc&size__lte=5",),
    "nine late": ("seen_at_op=this_year", "seen_at__gte=2026-03-09&seen_at__lte=2026-03-09"),
    "one five late": ("weight_op=empty",),
    "one nine late": ("spare_id_op=not&spare_id=1", "spare_id_op=empty"),
    "five nine late": ("size__gte=5", "size=5&size_op=greater_than"),
    "one five nine late": ("state=new&state=used", "spare_id=empty&spare_id=1"),
}
NAMES_IN_UTC_AND_VIENNA: dict[str, tuple[str, str]] = {
    "seen_at=2026-03-09": ("nine late", "nine"),
    "seen_at=2026-03-10": ("", "late"),
    "seen_at__lte=2026-03-09": ("one nine late", "one nine"),
    "seen_at_op=today": ("nine late", "late"),
    "seen_at__gte=2026-03-09T13:31": ("late", "late"),
    "seen_at__lte=2026-03-09T13:29": ("one nine", "one"),
}


@pytest.mark.database("sqlite", "postgresql")
async def test_filter_matches(admin: AsyncClient) -> None:
    for names, query in ((names, query) for names, queries in QUERIES_BY_NAMES.items() for query in queries):
        assert await list_names(admin, query) == names, query


@pytest.mark.database("sqlite", "postgresql")
async def test_days_begin_at_midnight_of_the_visitor(admin: AsyncClient) -> None:
    for zone_number, zone in enumerate(("UTC", "Europe/Vienna")):
        admin.cookies.set("time_zone", zone)
        for query, names in NAMES_IN_UTC_AND_VIENNA.items():
            assert await list_names(admin, query) == names[zone_number], (zone, query)


async def test_filter_accepts_any_day_and_names_other_texts(admin: AsyncClient) -> None:
    admin.cookies.set("time_zone", "Africa/Cairo")  # the clocks of this zone skip midnight on the last of these days
    for day in ("0001-01-01", "9999-12-31", "2026-04-24"):
        response = await admin.get(f"{LIST}?seen_at__lte={day}")
        assert (response.status_code, "is not valid" in response.text) == (200, False), day
    page = unescape((await admin.get(f"{LIST}?size__gte=1.000&state=bogus&made_on_op=today")).text)
    assert [text in page for text in ("Size: “1.000” is not valid", "State: “bogus” is not valid")] == [True, True]
    assert page.count("is not valid") == 2
    assert "Size: “3000000000” is not valid" in unescape((await admin.get(f"{LIST}?size__lte=3000000000")).text)


@pytest.mark.language("de")
async def test_values_have_the_format_of_the_visitor(admin: AsyncClient, language: str) -> None:
    assert await list_names(admin, "made_on__gte=2.3.2026&size__lte=1.000") == "five"
    assert await list_names(admin, "seen_at__gte=9.3.2026 12:29") == "nine late"
    response = await admin.get(f"{LIST}?size__gte=1.234&made_on__lte=31.12.2026&seen_at__gte=31.12.2026+18:30")
    clean_query = "size__gte=1234&made_on__lte=2026-12-31&seen_at__gte=2026-12-31T18%3A30"
    assert response.headers["location"] == f"{LIST}?{clean_query}"
    page = await admin.get(f"{LIST}?made_on__lte=31.2.2026")
    assert 'name="made_on__lte" type="text" value="31.2.2026"' in page.text


def test_times_of_day_have_two_ends() -> None:
    path = AttributePath((), inspect(Opening), "opens_at")
    opens_at = RangeFilter(path, "opens_at", "Opens at", type_=time)
    condition = opens_at.condition(QueryParams("opens_at__gte=08:30&opens_at__lte=09:00"))
    assert condition is not None
    assert list(condition.compile().params.values()) == [time(8, 30), time(9)]


def test_choice_may_have_the_name_of_empty_values() -> None:
    hall = _column_filter(GadgetAdmin(), AttributePath((), inspect(Opening), "hall"), "hall", "Hall")
    condition = hall.condition(QueryParams("hall=empty"))
    assert condition is not None
    assert list(condition.compile().params.values()) == [["empty"]]


CLEAN_QUERIES = {
    "search=&state=&size__gte=&seen_at_op=&maker_id=": "",
    "search=+&state=new": "?state=new",
    "state_op=not&search=door": "?search=door",
    "maker_id=1&maker_id=1": "?maker_id=1",
    "seen_at_op=today&seen_at__gte=2026-01-01": "?seen_at_op=today",
    "spare_id_op=empty&spare_id=1": "?spare_id_op=empty",
    "weight_op=&weight__gte=3": "?weight__gte=3",
}


async def test_list_redirects_to_its_clean_url(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for query, clean_query in CLEAN_QUERIES.items():
        response = await admin.get(f"{LIST}?{query}")
        assert (response.status_code, response.headers["location"]) == (303, f"{LIST}{clean_query}"), query
    for query in ("", "size=3", "state_op=not&state=new", "spare_id=1", "page=1"):
        assert (await admin.get(f"{LIST}?{query}")).status_code == 200, query
    monkeypatch.setattr(GadgetAdmin, "list_parameters", ("shelf",))
    assert (await admin.get(f"{LIST}?shelf=&search=")).headers["location"] == f"{LIST}?shelf="


async def test_htmx_receives_the_clean_url(admin: AsyncClient) -> None:
    response = await admin.get(f"{LIST}?search=door&state=", headers={"HX-Request-Type": "partial"})
    assert (response.status_code, response.headers["HX-Replace-Url"]) == (200, f"{LIST}?search=door")
    assert response.text.count('id="found"') == 1
    assert "<html" not in response.text
