"""Search over everything in the admin."""

import logging

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.admin import search
from opportune.search import everything
from opportune.testing.factories import signed_in_client
from tests.opportune.admin.bookshelf_feature import Author, AuthorAdmin, Country, CountryAdmin, bookshelf
from tests.opportune.site_with import site_fixture, staff_fixture

PALETTE = {"HX-Request-Type": "partial"}
app = site_fixture(
    bookshelf,
    lambda: [Author(name="ADA"), *(Author(name=f"Ada {number}") for number in range(1, 8)), Country(name="Adaland")],
)
staff = staff_fixture("country.list")


@pytest.mark.database("sqlite", "postgresql")
async def test_page_groups_rows_by_model(admin: AsyncClient) -> None:
    page = (await admin.get("/admin/search?q=ada")).text
    assert "Adaland" in page
    assert [f"{name}<" in page for name in ("ADA", "Ada 7", "Ada 4", "Ada 3")] == [True, True, True, False]
    assert 'href="/admin/author/list?search=ada"' in page
    assert "/admin/country/list?search=ada" not in page, "all countries are shown"
    assert 'href="/admin/country/details/1"' in page
    assert "Ada 1" in (await admin.get("/admin/author/list?search=ada")).text


async def test_staff_find_only_permitted_entries(app: FastAPI, staff: AsyncClient) -> None:
    page = (await staff.get("/admin/search?q=ad", headers=PALETTE)).text
    assert "Adaland" in page
    for hidden in ("Ada 1", "Add country", "/admin/user", "/details/"):
        assert hidden not in page, hidden
    assert "/admin/operations" not in (await staff.get("/admin/search", headers=PALETTE)).text
    async with signed_in_client(app) as user:
        assert (await user.get("/admin/search?q=ada")).status_code == 403


@pytest.mark.database("sqlite", "postgresql")
async def test_rows_outside_of_list_query_are_hidden(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuthorAdmin, "list_query", lambda *_: select(Author).where(col(Author.name) == "Ada 1"))
    page = (await admin.get("/admin/search?q=ada")).text
    assert [text in page for text in ("Ada 1", "Ada 2")] == [True, False]


async def test_palette_finds_pages_and_actions(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    palette = (await admin.get("/admin/search?q=count", headers=PALETTE)).text
    assert "<html" not in palette
    assert 'href="/admin/country/list"' in palette
    assert 'href="/admin/country/create"' in palette
    assert 'href="#sign-out"' in (await admin.get("/admin/search", headers=PALETTE)).text
    assert 'href="#sign-out"' not in (await admin.get("/admin/search?q=sign")).text, "it needs the script"
    monkeypatch.setattr(CountryAdmin, "can_create", False)
    assert "Add country" not in (await admin.get("/admin/search?q=country", headers=PALETTE)).text


async def test_limited_search_names_what_it_left_out(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_SECONDS", "MAX_SOURCES"):
        with monkeypatch.context() as patch:
            patch.setattr(everything, limit, -1)
            page = (await admin.get("/admin/search?q=ada")).text
        assert "Authors" in page.partition("Left out to answer quickly:")[2], limit
        assert "Ada 1" not in page, limit
    monkeypatch.setattr(search.SEARCHES_PER_USER, "limit", 1)
    assert (await admin.get("/admin/search")).status_code == 200
    assert (await admin.get("/admin/search")).status_code == 429


async def test_log_has_no_search_words(admin: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await admin.get("/admin/search?q=ada-secret")
    messages = [record.getMessage() for record in caplog.records if record.name != "httpx2"]
    assert any("GET /admin/search" in message for message in messages)
    assert not any("ada-secret" in message for message in messages)
