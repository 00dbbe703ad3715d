"""Streaming of Markdown, with the example of docs/llm.md."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Literal

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from httpx2 import AsyncClient
from playwright.async_api import Page, expect
from sqlalchemy import text

from opportune.config.settings import Settings
from opportune.contrib.llm import FakeProvider, LlmError
from opportune.db import ReadSession, RowId
from opportune.feature import Feature
from opportune.features import llm
from opportune.testing.app import create_test_app
from opportune.testing.asgi_requests import send_request
from opportune.web import streaming, templates
from tests.opportune.guides import read_guide, run_code
from tests.opportune.page_templates import add_templates

GUIDE = read_guide("llm.md").partition("## Stream into a page")[2]
PYTHON, HTML = re.findall(r"^```\w+\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)[:2]
PAGE = '{% extends "base.html" %}{% block content %}<h1>Waves</h1>' + HTML + "<footer>The end</footer>{% endblock %}"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
PAGE_OR_HTMX: list[dict[str, str]] = [{}, HTMX]
"""Headers of a request for a page, and of a request for events."""
TIMEOUT_SECONDS = 30


@dataclass
class Book:
    id: int
    description: str = "Waves without a shore."


async def get_book(book_id: RowId, session: ReadSession) -> Book:
    await session.execute(text("select 1"))
    return Book(book_id)


CurrentBook = Annotated[Book, Depends(get_book)]


async def show(request: Request, book: CurrentBook) -> HTMLResponse:
    return templates.render(request, "books/book.html", {"book": book})


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    dependencies = ModuleType("app.books.dependencies")
    vars(dependencies)["CurrentBook"] = CurrentBook
    monkeypatch.setitem(sys.modules, "app.books.dependencies", dependencies)
    names = run_code(PYTHON)
    names["pages"].add_api_route("/{book_id}", show)
    add_templates(monkeypatch, {"books/book.html": PAGE})
    app = create_test_app(settings, [llm, Feature("books", "Books.", pages=names["pages"])])
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def script(fake_llm: FakeProvider) -> FakeProvider:
    fake_llm.script = ["# Yes\n\n", "It **is** <script>alert(1)</script>."]
    return fake_llm


async def ask(client: AsyncClient, question: str = "Is it?", **headers: str) -> tuple[int, str]:
    response = await client.post("/books/1/ask", data={"question": question}, headers=headers)
    return response.status_code, response.text


@pytest.mark.usefixtures("script")
async def test_browser_without_javascript_gets_a_page(client: AsyncClient) -> None:
    status, html = await ask(client)
    assert status == 200
    assert 'value="Is it?"' in html
    assert re.search(r"<h1>Yes</h1>\s+<p>It <strong>is</strong> &lt;script&gt;alert\(1\)&lt;/script&gt;\.</p>", html)
    assert html.index("<h1>Waves</h1>") < html.index("<h1>Yes</h1>") < html.index("The end")


@pytest.mark.usefixtures("script")
async def test_htmx_gets_events(client: AsyncClient) -> None:
    status, events = await ask(client, **HTMX)
    assert status == 200
    *_, complete_text, done, rest = events.split("\n\n")
    assert "<h1>Yes</h1>" in complete_text
    assert "&lt;script&gt;" in complete_text
    assert (done, rest) == ("event: done\ndata: done", "")


async def test_error_is_shown_below_text(client: AsyncClient, script: FakeProvider) -> None:
    for headers in PAGE_OR_HTMX:
        script.script = ["So far", LlmError("timeout", "The model took <too> long.")]
        status, html = await ask(client, **headers)
        assert status == 200
        assert re.search(r'So far</p>\s*(data: )?<p class="text-danger" role="alert">The model took &lt;too&gt;', html)


async def test_crash_during_stream_is_logged(
    client: AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app.state.llm.provider = model = FakeProvider()
    monkeypatch.setattr(model, "script", None)
    assert streaming.CRASHED in (await ask(client))[1]
    assert "stream into a page failed" in caplog.text


async def test_missing_model_is_503_without_setting_names(client: AsyncClient, app: FastAPI) -> None:
    app.state.llm.provider = None
    for headers in PAGE_OR_HTMX:
        status, html = await ask(client, **headers)
        assert status == 503
        assert "No language model is set up yet." in html
        assert "LLM_" not in html


async def test_stream_is_rate_limited(client: AsyncClient, script: FakeProvider) -> None:
    assert [(await ask(client, **HTMX))[0] for _ in range(21)] == [200] * 20 + [429]


@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_disconnect_stops_the_model(app: FastAPI, script: FakeProvider, headers: dict[str, str]) -> None:
    script.script = ["So far", asyncio.Event()]
    sent = {"content-type": "application/x-www-form-urlencoded", **headers}
    assert (await send_request(app, "POST", "/books/1/ask", sent, b"question=Who%3F")).status == 200
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await script.stopped.wait()


class Pause(asyncio.Event):
    """Event of a script. It notes that the words before it have been streamed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.is_reached.set()
        return await super().wait()


async def test_stream_holds_no_session(client: AsyncClient, app: FastAPI, script: FakeProvider) -> None:
    pause = Pause()
    script.script = ["So far", pause]
    answer = asyncio.create_task(ask(client))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await pause.is_reached.wait()
        assert app.state.database.engine.sync_engine.pool.checkedout() == 0
        pause.set()
        assert "So far" in (await answer)[1]


async def test_shutdown_ends_stream(client: AsyncClient, app: FastAPI, script: FakeProvider) -> None:
    script.script = ["So far", asyncio.Event()]
    app.state.shutting_down.set()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert streaming.SHUTTING_DOWN in (await ask(client))[1]
        await script.stopped.wait()


async def test_heartbeats_are_sent(client: AsyncClient, script: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(streaming, "UPDATE_INTERVAL_SECONDS", 0.0)
    may_continue, updates = asyncio.Event(), 0
    script.script = ["So far", may_continue]

    async def count_updates(_blocks: object) -> None:
        nonlocal updates
        updates += 1
        if updates > 3:
            may_continue.set()

    monkeypatch.setattr(streaming, "_render", count_updates)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert "So far" in (await ask(client))[1]


async def test_update_keeps_text(client: AsyncClient, script: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    may_continue = asyncio.Event()
    script.script = ["So far", may_continue, ", so good"]

    async def render_slowly(_blocks: object) -> None:
        may_continue.set()
        for _ in range(50):  # the model writes on
            await asyncio.sleep(0)

    monkeypatch.setattr(streaming, "_render", render_slowly)
    assert "So far, so good" in (await ask(client))[1]


async def ask_in_browser(page: Page, question: str = "Is it?") -> None:
    await page.get_by_label("Ask about this book").fill(question)
    await page.get_by_role("button", name="Ask").click()


async def test_browser_shows_stream(page: Page, script: FakeProvider) -> None:
    may_continue = asyncio.Event()
    script.script = ["# Yes\n\nIt *is*", may_continue, " so."]
    await page.goto("/books/1")
    await ask_in_browser(page)
    await expect(page.locator("#ask-answer em")).to_have_text("is")
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    may_continue.set()
    await expect(page.locator("#ask-answer")).to_have_text(re.compile(r"Yes\s+It is so\."))
    await expect(page.get_by_text("Answer finished")).to_be_attached()
    await expect(page.get_by_role("button", name="Stop")).to_be_hidden()
