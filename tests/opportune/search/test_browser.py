"""Search as you type in Chromium, on a page built with the macros."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Query, Request, Response
from markupsafe import Markup
from playwright.async_api import Page, expect

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.features import accounts, jobs
from opportune.search import SearchQuery, SearchResults
from opportune.testing.app import create_test_app
from opportune.web import is_htmx, templates
from tests.opportune.page_templates import add_templates

WAVES = ("sea", "sea breeze", "sea breeze at dawn", "sea breezes", "tide")
SEARCH = """{% extends "base.html" %}{% from "macros/search.html" import search_box, search_head %}
{% block head %}{{ super() }}{{ search_head() }}{% endblock %}
{% block content %}<h1>Waves</h1>{{ search_box("/waves", results.query, "Search the waves") }}
{% block results %}{% from "macros/search.html" import search_results %}
{{ search_results(results, request.url, hint="Type a beginning") }}{% endblock %}{% endblock %}"""
WAVE = '{% extends "base.html" %}{% block content %}<h1>{{ name }}</h1>{% endblock %}'
router = APIRouter(prefix="/waves")
pending: dict[str, asyncio.Event] = {}
"""Queries whose response waits for an event."""


@dataclass
class Hit:
    name: str
    query: str

    @property
    def url(self) -> str:
        return f"/waves/{WAVES.index(self.name)}"

    @property
    def name_html(self) -> Markup:
        return Markup("<mark>{}</mark>{}").format(self.query, self.name.removeprefix(self.query))

    snippet_html = Markup("")


@router.get("")
async def search(request: Request, query: Annotated[SearchQuery, Query()]) -> Response:
    if query.q in pending:
        await pending[query.q].wait()
    hits = [Hit(name, query.q) for name in WAVES if query.q and name.startswith(query.q)]
    context: dict[str, Any] = {"results": SearchResults(items=hits, total=len(hits), page=1, pages=1, query=query.q)}
    if is_htmx(request):
        return templates.render_block(request, "waves/search.html", "results", context)
    return templates.render(request, "waves/search.html", context)


@router.get("/{number}")
async def show_wave(request: Request, number: int) -> Response:
    return templates.render(request, "waves/wave.html", {"name": WAVES[number]})


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    add_templates(monkeypatch, {"waves/search.html": SEARCH, "waves/wave.html": WAVE})
    app = create_test_app(settings, [accounts, jobs, Feature("waves", "Waves.", pages=router)])
    async with app.router.lifespan_context(app):
        yield app


async def test_late_response_is_ignored(page: Page, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count, hits = page.get_by_role("status"), page.locator(".search-hit")
    await page.goto("/waves")
    for query in ("s", "se"):  # two slow requests: htmx cancels the first, so only the second responds late
        monkeypatch.setitem(pending, query, asyncio.Event())
        async with page.expect_request(f"**/waves?q={query}"):
            await page.get_by_role("searchbox").fill(query)
    await page.get_by_role("searchbox").fill("tid")
    await expect(count).to_have_text("1 result")
    for event in pending.values():
        event.set()
    await page.evaluate("fetch('/waves?q=sea').then(() => new Promise(requestAnimationFrame))")
    await expect(hits).to_have_text([re.compile("tide")])
    await expect(hits.locator("mark")).to_have_text("tid")
    assert page.url == f"{site}/waves?q=tid"


async def test_keys_move_through_results(page: Page, site: str) -> None:
    box, hits = page.get_by_role("searchbox"), page.locator(".search-hit")
    await page.goto("/waves?q=tide")
    await page.keyboard.press("/")
    await expect(box).to_be_focused()
    await page.keyboard.type("sea b")
    await expect(hits).to_have_count(3)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(hits.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    await expect(box).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("sea breeze at dawn")
    await page.go_back()
    await expect(box).to_have_value("sea b")
    await expect(hits).to_have_count(3)
    await page.go_back()
    await expect(box).to_have_value("tide")
    await expect(hits).to_have_count(1)
    await box.focus()
    await page.keyboard.press("Escape")
    await expect(box).to_have_value("")
    await expect(page.get_by_text("Type a beginning")).to_be_visible()
    await box.fill("sea breeze a")
    await expect(hits).to_have_count(1)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site}/waves/2")
