"""Lists of large tables: estimated counts, and pages that begin at a row."""

import re
from datetime import date
from html import unescape

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import delete, select
from sqlmodel import col

from tests.opportune.admin.editing.parts_feature import Part, PartAdmin

LIST = "/admin/part/list"
ROWS = 13
NAME = re.compile(r">part (\d+)</a>")


@pytest.fixture(autouse=True)
async def _large_table(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five pages of three parts or fewer. Half of the parts have no date, and dates repeat."""
    monkeypatch.setattr("opportune.db.queries.row_count.MAX_COUNTED_ROWS", 5)
    monkeypatch.setattr("opportune.admin.lists.row_queries.MAX_NUMBERED_PAGES", 2)
    async with app.state.database.writer() as session:
        await session.execute(delete(Part))
        due_dates = [date(2026, 1, number % 4 + 1) if number % 2 else None for number in range(ROWS)]
        session.add_all(Part(name=f"part {number}", due_on=due_on) for number, due_on in enumerate(due_dates))


async def read(client: AsyncClient, url: str) -> tuple[list[int], dict[str, str]]:
    """Return the numbers of the parts on a page, and its links by label."""
    response = await client.get(url)
    assert response.status_code == 200, response.text
    links = re.findall(r'class="page-link" href="([^"]+)"[^>]*>(?:<i [^>]*></i>)?(\w*)', response.text)
    named = re.findall(r'class="page-link" href="([^"]+)" aria-label="(\w+) page"', response.text)
    urls = {label: unescape(href) for href, label in [*links, *named] if label}
    return [int(number) for number in NAME.findall(response.text)], urls


async def read_all(client: AsyncClient, url: str, direction: str) -> list[list[int]]:
    """Return the parts of all pages, in the order in which the links lead to them."""
    pages, links = [], {direction: url}
    while url := links.get(direction, ""):
        page, links = await read(client, url)
        pages.append(page)
    return pages


@pytest.mark.database("sqlite", "postgresql")
async def test_pages_have_each_row_once_in_both_directions(admin: AsyncClient) -> None:
    for sort in ("", "&sortBy=due_on&sort=asc", "&sortBy=due_on&sort=desc", "&sortBy=name&sort=desc"):
        forward = [number for page in await read_all(admin, f"{LIST}?pageSize=3{sort}", "Next") for number in page]
        assert sorted(forward) == list(range(ROWS)), sort
        pages = await read_all(admin, f"{LIST}?pageSize=3{sort}&position=last", "Previous")
        assert [number for page in reversed(pages) for number in page] == forward, sort


async def test_unknown_position_is_refused(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PartAdmin, "list_query", lambda *_: select(Part).where(col(Part.id) != 2))
    for position in ("first", "after:", "after", "after:999999", "after:2"):  # the last row is hidden
        assert (await admin.get(f"{LIST}?position={position}&sortBy=price")).status_code == 422, position


async def test_all_pages_of_a_large_list_share_a_count(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await admin.get(f"{LIST}?pageSize=3")
    monkeypatch.setattr("opportune.db.queries.listing.estimate_row_count", None)  # would fail
    for query in ("pageSize=4&page=2", "pageSize=3&sortBy=name&sort=desc", "pageSize=3&position=last"):
        assert f"of about {ROWS}" in (await admin.get(f"{LIST}?{query}")).text, query
