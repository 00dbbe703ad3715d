"""Examples of docs/search.md."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.config import Settings, installed_features
from opportune.contrib.documents import DocumentHit, DocumentIndex, DocumentSearch
from opportune.contrib.documents.sqlite import SQLiteEngine, SQLiteStore
from opportune.db import DatabaseUrl
from opportune.db.hooks.registry import temporary_hooks
from opportune.feature import Feature
from opportune.pagination import Page
from opportune.search import SearchQuery
from opportune.testing.app import create_test_app
from tests.opportune.guides import read_guide, run_code
from tests.opportune.page_templates import add_templates
from tests.opportune.search.books import Book, add, create_indexes, make_tables

GUIDE = read_guide("search.md")
PYTHON, HTML = (re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL) for language in ("python", "html"))
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def example(isolated_searchables: None) -> Iterator[dict[str, Any]]:
    with temporary_hooks():
        yield run_code(PYTHON[0], PYTHON[2], PYTHON[3], Book=Book, BookFilter=SearchQuery, Page=Page)


@pytest.fixture
async def app(example: dict[str, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    router: APIRouter = example["router"]
    add_templates(monkeypatch, {"books/search.html": HTML[0]})
    books = Feature("books", pages=router)
    app = create_test_app(settings, (*installed_features(), books))
    async with app.router.lifespan_context(app):
        await make_tables(app.state.database)
        await create_indexes(app.state.database)
        await add(app.state.database, ("Bread", "of rye"), ("<b>Café</b>", "bread & milk"), *[("Tea", "")] * 30)
        yield app


async def test_example_page_has_highlighted_results(client: AsyncClient) -> None:
    page = (await client.get("/books/search?q=bre")).text
    assert 'name="q" value="bre"' in page
    assert "2 results" in page
    assert re.findall(r'class="search-hit" id="search-hit-\d" href="([^"]*)"', page) == ["/books/1", "/books/2"]
    assert "<mark>Bre</mark>ad" in page
    assert "&lt;b&gt;Café" in page
    assert "More results" not in page


async def test_example_has_pages_and_responds_to_htmx(client: AsyncClient) -> None:
    fragment = (await client.get("/books/search?q=cafe", headers=HTMX)).text
    assert fragment.lstrip().startswith('<section id="search-results" data-query="cafe"')
    assert "&lt;b&gt;<mark>Café</mark>&lt;/b&gt;" in fragment
    assert 'href="?q=tea&amp;page=2">More results</a>' in (await client.get("/books/search?q=tea")).text
    assert 'aria-label="Pages"' in (await client.get("/books/search?q=tea&page=2")).text
    assert (await client.get("/books/search?page=0")).status_code == 422


async def test_example_searches_a_filtered_query(app: FastAPI, example: dict[str, Any]) -> None:
    find = run_code(PYTHON[1], **example)["find"]
    async with app.state.database.reader() as session:
        page = await find(session, SearchQuery(q="bread"), select(Book).where(col(Book.id) > 1))
    assert ([book.title for book in page.items], page.total) == (["<b>Café</b>"], 1)


async def test_example_indexes_and_searches_a_folder(settings: Settings, tmp_path: Path) -> None:
    names = run_code(PYTHON[5])
    (tmp_path / "leave.md").write_text("# Sick leave\n\nWrite to the café.")
    names["FOLDER"] = tmp_path
    index: DocumentIndex[DocumentHit] = names["handbook"]
    url = DatabaseUrl.parse(f"sqlite:///{tmp_path / 'h.db'}")
    assert len(SQLiteStore(index, url).build(names["Handbook"]()).entries) == 1
    search = DocumentSearch(index, lambda: SQLiteEngine(index, url, settings))
    try:
        assert [hit.name_html for hit in (await search.find("sikc")).items] == ["<mark>Sick</mark> leave"]
        assert [hit.slug for hit in (await search.find("cafe")).items] == ["leave"]
        assert (await search.get("leave")).document["name"] == "Sick leave"
    finally:
        await search.close()
