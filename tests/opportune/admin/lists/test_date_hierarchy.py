"""Links to years, months and days above a list."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.admin.lists import date_hierarchy
from opportune.admin.views import AdminView
from opportune.errors import OperatorError
from tests.opportune.admin.gadget_feature import Gadget, GadgetAdmin
from tests.opportune.stored_rows import add_rows

LIST = "/admin/gadget/list"
YEAR, MONTH, DAY = (f"seen_at__{part}" for part in ("year", "month", "day"))
MARCH, JUNE = datetime(2026, 3, 31, 22, 30, tzinfo=UTC), datetime(2026, 6, 2, 12, tzinfo=UTC)
SEEN_AT = {"old": datetime(2024, 5, 7, 12, tzinfo=UTC), "march": MARCH, "june": JUNE}
"""The second is on 1 April in Vienna."""


@pytest.fixture
async def app(app_with_gadgets: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(GadgetAdmin, "date_hierarchy", "seen_at")
    seen = (Gadget(name=name, maker_id=1, seen_at=at) for name, at in SEEN_AT.items())
    await add_rows(app_with_gadgets, *seen, Gadget(name="never", maker_id=2))
    return app_with_gadgets


async def read_links(admin: AsyncClient, query: str = "") -> dict[str, str]:
    """Return the queries of the links by label."""
    page = unescape((await admin.get(f"{LIST}?{query}" if query else LIST)).text)
    navigation = page.partition("period-links")[2].partition("</nav>")[0]
    links = re.findall(r'<a href="([^"]*)">(.*?)</a>', navigation)
    return {re.sub("<[^>]*>", "", label): url.partition("?")[2] for url, label in links}


async def list_names(admin: AsyncClient, query: str) -> list[str]:
    return [row["name"] for row in (await admin.get(f"/admin/gadget/export/json?{query}")).json()]


LINKS: list[tuple[str, dict[str, str]]] = [
    ("", {"2024": f"{YEAR}=2024", "2026": f"{YEAR}=2026"}),
    (f"{YEAR}=2026", {"All dates": "", "Mar 2026": f"{YEAR}=2026&{MONTH}=3", "Jun 2026": f"{YEAR}=2026&{MONTH}=6"}),
    ("search=june", {"2 Jun 2026": f"search=june&{YEAR}=2026&{MONTH}=6&{DAY}=2"}),
    ("state=new&search=m+r&page=1", {"31 Mar 2026": f"state=new&search=m+r&{YEAR}=2026&{MONTH}=3&{DAY}=31"}),
    ("search=never", {}),
]
"""Links by label, for each query. A list of one month links its days."""


@pytest.mark.database("sqlite", "postgresql")
async def test_list_links_periods_with_rows(admin: AsyncClient) -> None:
    for query, links in LINKS:
        assert await read_links(admin, query) == links, query


@pytest.mark.database("sqlite", "postgresql")
async def test_days_are_in_the_visitors_time_zone(admin: AsyncClient) -> None:
    admin.cookies.set("time_zone", "Europe/Vienna")
    links = await read_links(admin, f"{YEAR}=2026&{MONTH}=4")
    assert list(links) == ["All dates", "2026", "1 Apr 2026"]
    assert await list_names(admin, links["1 Apr 2026"]) == ["march"]
    assert await list_names(admin, f"{YEAR}=2026&{MONTH}=3") == []


async def test_impossible_period_has_no_rows(admin: AsyncClient) -> None:
    impossible = ("=x", f"=2026&{MONTH}=13", "=99999999999999999999")
    for query in (*(f"{YEAR}{text}" for text in impossible), f"{MONTH}=3", f"{MONTH}=3&{DAY}=3"):
        assert await list_names(admin, query) == [], query
        assert list(await read_links(admin, query)) == ["All dates"], query


async def test_large_lists_link_all_periods(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(date_hierarchy, "MAX_READ_ROWS", 1)
    assert len(await read_links(admin, f"{YEAR}=2026")) == 13
    monkeypatch.setattr(date_hierarchy, "is_indexed", lambda _column: True)
    assert list(await read_links(admin)) == ["2024", "2026"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("seen_att", "Gadget has no 'seen_att'. Did you mean seen_at?"),
        ("size", "'size' is not a date or time. Name a date or time, such as 'created_at'."),
    ],
)
async def test_start_refuses_a_wrong_date_hierarchy(name: str, message: str) -> None:
    class WrongAdmin(AdminView, model=Gadget):
        date_hierarchy = name

    with pytest.raises(OperatorError, match=re.escape(f"WrongAdmin.date_hierarchy: {message}")):
        WrongAdmin()


async def test_first_and_last_years_have_pages(admin: AsyncClient) -> None:
    admin.cookies.set("time_zone", "Pacific/Auckland")
    for year in (1, 9999):
        assert (await admin.get(f"{LIST}?{YEAR}={year}")).status_code == 200, year
