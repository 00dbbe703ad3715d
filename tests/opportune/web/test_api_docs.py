"""Swagger UI in Chromium."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI
from playwright.async_api import Page, expect

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.testing.app import create_test_app

router = APIRouter()


@router.get("/words")
async def list_words(q: str = "") -> list[str]:
    """With *words*."""
    return [q]


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """Site with a small API, which Swagger UI renders quickly."""
    app = create_test_app(settings, [Feature("words", "Words.", api=router)])
    async with app.router.lifespan_context(app):
        yield app


async def test_api_docs_load_nothing_from_other_hosts(page: Page, site: str) -> None:
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    await page.goto("/api/docs")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_role("link", name="/api/v1/words")).to_be_visible()
    assert [url for url in urls if not url.startswith((site, "data:"))] == []
