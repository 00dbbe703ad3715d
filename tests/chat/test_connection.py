"""A conversation over a connection that is lost: `tests/opportune/answers` has all that can happen to an answer."""

import asyncio

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, Route, expect

from opportune.llm import FakeProvider
from opportune.testing import make_user, sign_in_browser

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")


async def test_a_lost_stream_shows_a_warning_and_reconnects(chromium: Browser, app: FastAPI, site: str) -> None:
    rest = asyncio.Event()
    app.state.llm.provider = FakeProvider("The first part", rest, " goes on.")

    async def lose(route: Route) -> None:
        await route.abort()

    # A context of its own: what Chromium says in its console about lost connections is expected.
    async with await chromium.new_context(base_url=site) as context:
        page = await context.new_page()
        await page.clock.install()
        await sign_in_browser(page, app, await make_user(app.state.database), site)
        await page.route("**/stream?after=*", lose, times=1)
        await page.goto("/chat")
        await page.get_by_label("Your question").fill("Tell me")
        await page.get_by_label("Your question").press("Enter")
        await expect(page.get_by_text("Connection lost, trying again")).to_be_visible()
        await expect(page.get_by_text("The server does not answer")).to_be_hidden()
        rest.set()
        await page.clock.fast_forward(5000)
        answer = page.locator("article").nth(1)
        await expect(answer.locator(".markdown").first).to_have_text("The first part goes on.")
        await expect(page.get_by_text("Connection lost, trying again")).to_be_hidden()
