"""Pages and API of search and entries, with and without htmx, and questions about entries."""

import asyncio
import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.contrib.llm import FakeProvider, ToolCall
from opportune.contrib.tools import toolbox_of
from opportune.project.layout import PROJECT
from opportune.search import MAX_QUERY_LENGTH
from opportune.testing import make_user, signed_in_client
from opportune.testing.services.accessibility import find_violations

pytestmark = pytest.mark.usefixtures("small_index")

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


async def test_search_without_javascript(client: AsyncClient) -> None:
    response = await client.get("/pydocs", params={"q": "os.pa"})
    assert response.status_code == 200
    assert 'href="/pydocs/os.path.join"' in response.text
    assert "<mark>os</mark>.<mark>pa</mark>th.join" in response.text
    assert re.search(r"\b3\b", response.text.partition('id="pydocs-results"')[2])
    assert 'name="q" value="os.pa"' in response.text
    assert "json" not in response.text
    response = await client.get("/pydocs")
    assert re.search(r"\b5\b.*\b3\.11\.7\b", response.text)
    assert 'id="pydocs-hit-' not in (await client.get("/pydocs?q=zebra")).text
    response = await client.get("/pydocs?q=jsno")
    assert re.search(r"<strong[^>]*>json</strong>", response.text), "the corrected query is shown"
    assert 'name="q" value="jsno"' in response.text
    assert (await client.get("/pydocs/")).headers["location"] == "/pydocs"
    for query in ("page=0", "page=first", "size=101"):
        assert (await client.get(f"/pydocs?q=os&{query}")).status_code == 422, query


async def test_query_is_escaped(client: AsyncClient) -> None:
    for query in ["  ", "os\0.pa", "x" * 10_000, '"', "' OR 1=1 --", "*", "NEAR(", "name:", "🐍 שלום", "<b>%"]:
        for headers in ({}, HTMX):
            response = await client.get("/pydocs", params={"q": query}, headers=headers)
            assert response.status_code == 200, query[:20]
            assert "<b>" not in response.text
            assert "x" * (MAX_QUERY_LENGTH + 1) not in response.text


async def test_entry_shows_signature_parent_and_members(client: AsyncClient) -> None:
    function = (await client.get("/pydocs/os.path.join")).text
    assert "join(path, *paths)" in function
    assert "<p>Join one or more path segments &amp; more</p>" in function
    assert 'href="/pydocs/os.path"' in function
    module = (await client.get("/pydocs/os.path")).text
    assert 'href="/pydocs/os.path.join">join</a>' in module


async def test_typed_query_opens_by_keyboard(page: Page) -> None:
    await page.goto("/pydocs")
    await page.get_by_role("searchbox").fill("os.path.j")
    await expect(page.locator(".search-hit")).to_have_count(1)
    assert not await find_violations(page)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("os.path.join")
    assert not await find_violations(page)


async def test_question_without_javascript_is_answered(app: FastAPI, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["A *scripted* answer."]
    async with signed_in_client(app) as client:
        response = await client.post("/pydocs?slug=os.path.join", data={"question": "What <for>?"})
        answer = await app.state.answers.newest("pydocs:os.path.join", 1)
        async with app.state.answers.view(answer.answer) as live, asyncio.timeout(30):
            async for _ in live.follow(0):
                pass
        page = (await client.get(response.headers["location"])).text
    assert response.headers["location"] == "/pydocs/os.path.join"
    assert "What &lt;for&gt;?" in page
    assert "A <em>scripted</em> answer." in page
    assert "Join one or more path segments &amp; more" not in fake_llm.received[0][0].content
    assert "Join one or more path segments & more" in fake_llm.received[0][0].content
    async with signed_in_client(app, await make_user(app.state.database)) as stranger:
        assert "scripted" not in (await stranger.get("/pydocs/os.path.join")).text


async def test_model_searches_and_reads_entries(app: FastAPI) -> None:
    toolbox = toolbox_of(app)
    result = await toolbox.call(ToolCall("call_0", "search_python_docs", '{"words": "os.path"}'), None)
    assert result.sources[0].url == "/pydocs/os.path"
    entry = await toolbox.call(ToolCall("call_1", "read_python_docs", '{"slug": "os.path"}'), None)
    assert [source.title for source in entry.sources] == ["os.path"]
    missing = await toolbox.call(ToolCall("call_2", "read_python_docs", '{"slug": "none"}'), None)
    assert missing.is_error


async def test_api_search_needs_no_login(client: AsyncClient) -> None:
    response = await client.get("/api/v1/pydocs/search", params={"q": "os.path", "size": 1, "page": 3})
    assert response.status_code == 200
    assert response.json() == {
        "query": "os.path",
        "corrected": "",
        "total": 3,
        "page": 3,
        "pages": 3,
        "items": [
            {
                "slug": "os.path.join",
                "url": "/pydocs/os.path.join",
                "name": "os.path.join",
                "kind": "function",
                "title": "Join one or more path segments & more",
                "module": "",
                "name_html": "<mark>os</mark>.<mark>path</mark>.join",
                "snippet_html": "Join one or more <mark>path</mark> segments &amp; more",
            }
        ],
    }


async def test_example_requests_of_the_docs_work(client: AsyncClient) -> None:
    paths = re.findall(r"curl 'http://127.0.0.1:8000([^']+)'", (PROJECT / "app/pydocs/README.md").read_text())
    assert len(paths) == 2
    for path in paths:
        assert (await client.get(path)).status_code == 200, path
