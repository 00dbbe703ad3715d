"""Filters with two ends, and comparisons such as "is not" and "is empty"."""

from datetime import UTC, date, datetime, time
from html import unescape

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import inspect
from starlette.datastructures import QueryParams

from opportune.admin.lists.comparison_filter import ComparisonFilter
from opportune.db.queries.paths import AttributePath
from tests.opportune.admin.gadget_feature import Gadget, Table
from tests.opportune.stored_rows import add_rows

LIST = "/admin/gadget/list"


class Opening(Table, table=True):
    __tablename__ = "test_opening"

    opens_at: time


@pytest.fixture
async def app(app_with_gadgets: FastAPI) -> FastAPI:
    await add_rows(
        app_with_gadgets,
        Gadget(name="one", maker_id=1, size=1, made_on=date(2026, 3, 1), state="new"),
        Gadget(name="five", maker_id=2, size=5, made_on=date(2026, 3, 5), state="used", spare_id=1),
        Gadget(name="nine", maker_id=1, size=9, seen_at=datetime(2026, 3, 9, 12, 30, tzinfo=UTC)),
    )
    return app_with_gadgets


async def list_names(admin: AsyncClient, query: str) -> list[str]:
    return [row["name"] for row in (await admin.get(f"/admin/gadget/export/json?{query}")).json()]


NAMES_BY_QUERY: tuple[tuple[str, list[str]], ...] = (
    ("size__gte=5", ["five", "nine"]),
    ("size__lte=5", ["one", "five"]),
    ("size__gte=2&size__lte=8", ["five"]),
    ("size__gte=5&size_op=", ["five", "nine"]),
    ("size__gte=much", []),
    ("size=1_0&size_op=equals", []),
    ("size=5&size_op=bogus", []),
    ("made_on__lte=31.2.2026", []),
    ("state=bogus", []),
    ("state=new&state=bogus", []),
    ("made_on__gte=2026-03-01&made_on__lte=2026-03-04", ["one"]),
    ("made_on__lte=9999-12-31", ["one", "five"]),
    ("seen_at__gte=2026-03-09&seen_at__lte=2026-03-09", ["nine"]),
    ("seen_at__lte=2026-03-09T12:29", []),
    ("seen_at__gte=2026-03-09T12:29", ["nine"]),
    ("state_op=not&state=new", ["five"]),
    ("maker_id_op=not&maker_id=1", ["five"]),
    ("spare_id_op=not&spare_id=1", ["one", "nine"]),
    ("spare_id_op=not&spare_id=empty", ["five"]),
    ("spare_id_op=empty", ["one", "nine"]),
    ("spare_id_op=filled", ["five"]),
    ("maker_id_op=not&maker_id=Acme", []),
)


@pytest.mark.database("sqlite", "postgresql")
async def test_filter_matches(admin: AsyncClient) -> None:
    for query, names in NAMES_BY_QUERY:
        assert await list_names(admin, query) == names, query


@pytest.mark.database("sqlite", "postgresql")
async def test_invalid_filter_is_named(admin: AsyncClient) -> None:
    page = unescape((await admin.get(f"{LIST}?size__gte=1.000&state=bogus&made_on_op=today")).text)
    assert "Size: “1.000” is not valid" in page
    assert "State: “bogus” is not valid" in page
    assert page.count("is not valid") == 2


@pytest.mark.database("sqlite", "postgresql")
async def test_ends_are_in_the_visitors_time_zone(admin: AsyncClient) -> None:
    admin.cookies.set("time_zone", "Europe/Vienna")
    assert await list_names(admin, "seen_at__gte=2026-03-09T13:31") == []
    assert await list_names(admin, "seen_at__gte=2026-03-09T13:29") == ["nine"]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.language("de")
async def test_ends_have_the_format_of_the_visitor(admin: AsyncClient, language: str) -> None:
    assert await list_names(admin, "made_on__gte=2.3.2026&size__lte=1.000") == ["five"]
    assert await list_names(admin, "seen_at__gte=9.3.2026 12:29") == ["nine"]


def test_times_of_day_have_two_ends() -> None:
    path = AttributePath((), inspect(Opening), "opens_at")
    opens_at = ComparisonFilter(path, "opens_at", "Opens at", type_=time)
    condition = opens_at.condition(QueryParams("opens_at__gte=08:30&opens_at__lte=09:00"))
    assert condition is not None
    assert list(condition.compile().params.values()) == [time(8, 30), time(9)]


async def test_active_range_is_one_chip(admin: AsyncClient) -> None:
    page = unescape((await admin.get(f"{LIST}?size__gte=2&size__lte=8&state=used")).text)
    assert f'href="{LIST}?state=used" title="Remove this filter">Size from 2 to 8<' in page


async def test_last_excluded_value_clears_the_comparison(admin: AsyncClient) -> None:
    page = unescape((await admin.get(f"{LIST}?state_op=not&state=used&size__gte=2")).text)
    assert f'href="{LIST}?size__gte=2" title="Remove this filter">State is not: Used<' in page


async def test_form_keeps_a_comparison_of_an_old_address(admin: AsyncClient) -> None:
    page = (await admin.get(f"{LIST}?size=3&size_op=less_than")).text
    assert '<option value="less_than" selected>' in page
    assert 'name="size" type="number" step="any" value="3"' in page
