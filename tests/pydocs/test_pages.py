"""Pages of search and entries, with and without htmx."""

import re

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from app.pydocs.documents import python_docs
from opportune.search import MAX_QUERY_LENGTH
from opportune.testing import make_user, signed_in_client
from tests.pydocs.fake_search import FakeSearch

# The tests do not depend on the database.
pytestmark = pytest.mark.database("sqlite")

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
UNUSUAL_QUERIES = ["  ", "os\0.pa", "x" * 10_000, '"', "' OR 1=1 --", "*", "NEAR(", "name:", "🐍 שלום", "<b>%"]


async def test_search_without_javascript(client: AsyncClient, fake_search: FakeSearch) -> None:
    response = await client.get("/pydocs", params={"q": "os.pa"})

    assert response.status_code == 200
    assert 'href="/pydocs/os.path.join"' in response.text
    assert "<mark>os.pa</mark>th.join" in response.text
    assert "3 results" in response.text
    assert 'name="q" value="os.pa"' in response.text
    assert "json" not in response.text

    response = await client.get("/pydocs")
    assert "Type the beginning of a name" in response.text
    assert "5 entries from Python 3.11.7" in response.text

    assert "Nothing matches “zebra”" in (await client.get("/pydocs?q=zebra")).text
    response = await client.get("/pydocs?q=jsno")
    assert "Nothing matches “jsno”." in response.text
    assert re.search(r"1 result for <strong[^>]*>json</strong>", response.text), "the corrected query is shown"
    assert 'name="q" value="jsno"' in response.text

    assert (await client.get("/pydocs/")).headers["location"] == "/pydocs"
    for query in ("page=0", "page=first", "size=101"):
        assert (await client.get(f"/pydocs?q=os&{query}")).status_code == 422, query


async def test_htmx_gets_only_the_results(client: AsyncClient, fake_search: FakeSearch) -> None:
    response = await client.get("/pydocs?q=json", headers=HTMX)

    assert response.text.lstrip().startswith('<section id="pydocs-results" data-query="json"')
    assert re.search(r"\b1 result\b", response.text)


async def test_pagination_keeps_the_query(client: AsyncClient, fake_search: FakeSearch) -> None:
    first_page, second_page = [await client.get(f"/pydocs?q=os&size=1{page}") for page in ("", "&page=2")]

    assert 'href="?q=os&amp;size=1&amp;page=2">More results</a>' in first_page.text
    assert 'href="?q=os&amp;size=1&amp;page=3"' in second_page.text
    assert re.findall(r'id="pydocs-hit-\d" href="([^"]*)"', second_page.text) == ["/pydocs/os.path"]


async def test_query_is_escaped(client: AsyncClient, fake_search: FakeSearch) -> None:
    for query in UNUSUAL_QUERIES:
        for headers in ({}, HTMX):
            response = await client.get("/pydocs", params={"q": query}, headers=headers)

            assert response.status_code == 200, query[:20]
            assert "<b>" not in response.text
            assert "x" * (MAX_QUERY_LENGTH + 1) not in response.text


async def test_entry_shows_signature_parent_and_members(client: AsyncClient, fake_search: FakeSearch) -> None:
    function = (await client.get("/pydocs/os.path.join")).text
    assert "join(path, *paths)" in function
    assert "<p>Join one or more path segments &amp; more</p>" in function
    assert 'href="/pydocs/os.path"' in function

    module = (await client.get("/pydocs/os.path")).text
    assert re.search(r'<h2[^>]*>Functions</h2>.*href="/pydocs/os.path.join">join</a>', module, re.DOTALL)


async def test_unknown_entry_is_not_found(client: AsyncClient, fake_search: FakeSearch) -> None:
    for slug in ("nothing", "os.path.join/../../x", "%00", "x" * 5_000, "<b>"):
        response = await client.get(f"/pydocs/{slug}")

        assert response.status_code == 404, slug[:20]
        assert "<b>" not in response.text


async def test_missing_index_names_command_in_development(client: AsyncClient, fake_search: FakeSearch) -> None:
    fake_search.is_empty = True

    for headers in ({}, HTMX):
        response = await client.get("/pydocs?q=os", headers=headers)
        assert response.status_code == 200
        assert python_docs.command in response.text
    entry = await client.get("/pydocs/os")
    assert entry.status_code == 503
    assert "There is no index of the documentation yet." in entry.text


async def test_missing_index_hides_command_in_production(
    app: FastAPI, client: AsyncClient, fake_search: FakeSearch
) -> None:
    app.state.settings = app.state.settings.model_copy(update={"environment": "production"})
    fake_search.is_empty = True
    response = await client.get("/pydocs?q=os")
    assert (response.status_code, "oppman.py" in response.text) == (200, False)
    assert "/admin/operations" not in response.text


async def test_missing_index_links_superuser_to_admin(app: FastAPI, fake_search: FakeSearch) -> None:
    fake_search.is_empty = True
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as superuser:
        assert '<a href="/admin/operations">' in (await superuser.get("/pydocs")).text
