"""Searching as its visitor sees it, in Chromium."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, expect

from opportune.testing.services.accessibility import find_violations
from tests.pydocs.fake_search import FakeSearch

# One is enough: what is asked here is no database.
pytestmark = pytest.mark.database("sqlite")


async def type_and_wait_until_asked(page: Page, words: str) -> None:
    async with page.expect_request(lambda request: request.url.endswith(f"/pydocs?q={words}")):
        await page.get_by_role("searchbox").fill(words)


async def test_an_older_answer_never_takes_the_place_of_a_newer(page: Page, fake_search: FakeSearch, site: str) -> None:
    fake_search.later = {"o": asyncio.Event(), "os": asyncio.Event()}
    count, hits = page.get_by_role("status"), page.locator(".search-hit")
    await page.goto("/pydocs")
    for words in ("o", "os"):  # two, since htmx itself stops only the first
        await type_and_wait_until_asked(page, words)
    await page.get_by_role("searchbox").fill("os.pathc")
    await expect(count).to_have_text("1 result")

    for event in fake_search.later.values():
        event.set()
    await page.evaluate("fetch('/pydocs?q=json').then(() => new Promise(requestAnimationFrame))")

    await expect(hits).to_have_text([re.compile("os.pathconf")])
    await expect(hits.locator("mark")).to_have_text("os.pathc")
    assert not await find_violations(page)
    assert page.url == f"{site}/pydocs?q=os.pathc"


async def test_keys_search_walk_open_and_clear(page: Page, fake_search: FakeSearch, site: str) -> None:
    box, hits = page.get_by_role("searchbox"), page.locator(".search-hit")
    await page.goto("/pydocs?q=json")
    await page.keyboard.press("/")
    await expect(box).to_be_focused()
    await page.keyboard.type("os.p")
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
    await expect(page.get_by_role("heading", level=1)).to_have_text("os.path.join")
    assert not await find_violations(page)

    await page.go_back()
    await expect(box).to_have_value("os.p")
    await expect(hits).to_have_count(3)
    await page.go_back()
    await expect(box).to_have_value("json")
    await expect(hits).to_have_count(1)

    await box.focus()
    await page.keyboard.press("Escape")
    await expect(box).to_have_value("")
    await expect(page.get_by_text("Type the beginning of a name")).to_be_visible()
    await box.fill("os.path.j")
    await expect(hits).to_have_count(1)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site}/pydocs/os.path.join")


async def test_without_javascript_a_phone_searches_and_opens(
    chromium: Browser, fake_search: FakeSearch, site: str
) -> None:
    async with await chromium.new_context(
        base_url=site, java_script_enabled=False, viewport={"width": 390, "height": 780}
    ) as context:
        page = await context.new_page()
        await page.goto("/pydocs")
        await page.get_by_role("searchbox").fill("os.path.j")
        await page.get_by_role("button", name="Search").click()
        await page.get_by_role("link", name="os.path.join").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("os.path.join")
