"""Filters by day, in the visitor's time zone."""

from datetime import UTC, date, datetime

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests.opportune.admin.gadget_feature import Gadget
from tests.opportune.stored_rows import add_rows

SEEN_AT = {"late": datetime(2026, 3, 1, 22, 59, tzinfo=UTC), "early": datetime(2026, 3, 1, 23, 1, tzinfo=UTC)}
"""A minute before and after midnight in Vienna; both are on 1 March in UTC."""


@pytest.fixture
async def app(app_with_gadgets: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    now = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    monkeypatch.setattr("opportune.admin.lists.comparison_filter.utc_now", lambda: now)
    await add_rows(
        app_with_gadgets,
        *(
            Gadget(name=name, maker_id=1, seen_at=at, made_on=date(2026, 3, 2) if name == "early" else None)
            for name, at in SEEN_AT.items()
        ),
    )
    return app_with_gadgets


NAMES_IN_UTC = {
    "seen_at_op=equals&seen_at=2026-03-01": ["late", "early"],
    "seen_at_op=equals&seen_at=2026-03-02": [],
    "seen_at_op=less_than&seen_at=2026-03-02": ["late", "early"],
    "seen_at_op=greater_than&seen_at=2026-03-01": [],
    "seen_at_op=today": ["late", "early"],
    "made_on_op=today": [],
}
NAMES_IN_VIENNA = dict(zip(NAMES_IN_UTC, [["late"], ["early"], ["late"], ["early"], ["early"], ["early"]], strict=True))


@pytest.mark.database("sqlite", "postgresql")
async def test_days_begin_at_midnight_of_the_visitor(admin: AsyncClient) -> None:
    assert {query: await list_names(admin, query) for query in NAMES_IN_UTC} == NAMES_IN_UTC
    admin.cookies.set("time_zone", "Europe/Vienna")
    assert {query: await list_names(admin, query) for query in NAMES_IN_UTC} == NAMES_IN_VIENNA


async def list_names(browser: AsyncClient, query: str) -> list[str]:
    return [row["name"] for row in (await browser.get(f"/admin/gadget/export/json?{query}")).json()]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "2026-04-24"])
async def test_filter_accepts_any_day(admin: AsyncClient, day: str) -> None:
    admin.cookies.set("time_zone", "Africa/Cairo")  # the clocks of this zone skip midnight on the last of these days
    assert (await admin.get(f"/admin/gadget/list?seen_at_op=equals&seen_at={day}")).status_code == 200
