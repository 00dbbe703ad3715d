"""Search while the user types, and the filters of a list, in a browser."""

import asyncio
import re
from contextlib import suppress

import pytest
from fastapi import FastAPI
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page, Route, ViewportSize, expect

from tests.opportune.admin.gadget_feature import Colour, Gadget, GadgetAdmin
from tests.opportune.stored_rows import add_rows

LIST = "/admin/gadget/list"
FILTERS = "details.filters > summary"
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
async def app(app_with_gadgets: FastAPI, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(GadgetAdmin, "date_hierarchy", "created_at")
    red = (Gadget(name=f"red {number}", maker_id=1) for number in range(26))
    await add_rows(app_with_gadgets, *red, Gadget(name="blue", maker_id=2, colour=Colour.DEEP_BLUE))
    return app_with_gadgets


@pytest.fixture
async def list_page(page: Page) -> Page:
    await page.goto(LIST)
    return page


async def test_typing_searches_and_updates_the_list(list_page: Page) -> None:
    search, news = list_page.get_by_role("searchbox", name="Search", exact=True), list_page.locator("#list-news")
    await expect(news).to_be_empty()
    await search.press_sequentially("red")
    await expect(news).to_have_text("26 gadgets found")
    await expect(search).to_be_focused()
    await expect(list_page).to_have_url(re.compile(r"/admin/gadget/list\?search=red$"))
    await expect(list_page.get_by_role("link", name="Export CSV")).to_have_attribute("href", re.compile("search=red$"))
    await list_page.get_by_label("Select all rows on this page").check()
    await expect(list_page.get_by_text("25 selected:")).to_be_visible()
    await search.fill("green")
    await expect(news).to_have_text("Nothing matches")


async def test_filters_open_as_a_sheet_on_a_phone(list_page: Page) -> None:
    await list_page.set_viewport_size(PHONE)
    await list_page.goto(f"{LIST}?colour=red")
    filters, panel = list_page.locator(FILTERS), list_page.get_by_role("dialog", name="Filters")
    await expect(panel).to_be_hidden()
    await filters.click()
    assert await panel.evaluate("panel => getComputedStyle(panel).position") == "fixed"
    await expect(list_page.get_by_role("button", name="Close the filters")).to_be_focused()
    await list_page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(filters).to_be_focused()
    await filters.click()
    await list_page.mouse.click(200, 20)
    await expect(panel).to_be_hidden()


async def test_open_filters_apply_at_one_click(list_page: Page) -> None:
    ends = list_page.get_by_label("Seen at: from")
    await expect(ends).to_be_visible()
    await list_page.get_by_label("Seen at: comparison").select_option("today")
    await expect(ends).to_be_hidden()
    await list_page.goto(LIST)
    await list_page.get_by_label("Deep blue").check()
    await expect(list_page.get_by_role("link", name="Colour: Deep blue")).to_be_visible()
    await expect(list_page.locator("#filter-count")).to_contain_text("1")
    await expect(list_page).to_have_url(re.compile(r"list\?colour=deep_blue$"))
    await list_page.locator(FILTERS).click()
    await list_page.reload()
    await expect(list_page.get_by_label("Red")).to_be_hidden()


async def test_late_answer_does_not_replace_a_later_one(list_page: Page) -> None:
    may_answer = asyncio.Event()

    async def answer_late(route: Route) -> None:
        await may_answer.wait()
        with suppress(PlaywrightError):  # the page has cancelled the request
            await route.continue_()

    await list_page.route(lambda url: "colour=deep_blue" in url and "_facets" not in url, answer_late)
    await list_page.get_by_label("Deep blue").check()
    await list_page.get_by_role("button", name="Show counts").click()
    await expect(list_page.get_by_label("Deep blue 1")).to_be_checked()
    may_answer.set()
    await list_page.wait_for_load_state("networkidle")
    await expect(list_page).to_have_url(re.compile("_facets=1"))


async def test_counts_are_loaded_beside_the_choices(list_page: Page) -> None:
    await list_page.get_by_label("Deep blue").check()
    await list_page.get_by_role("button", name="Show counts").click()
    await expect(list_page.get_by_label("Red 26")).to_be_visible()
    await expect(list_page.get_by_label("Deep blue 1")).to_be_checked()
    await expect(list_page.get_by_label("100% Ltd 1")).to_be_visible()
    await expect(list_page).to_have_url(re.compile(r"\?_facets=1&colour=deep_blue$"))
    await list_page.get_by_role("searchbox", name="Search", exact=True).fill("red 1")
    await expect(list_page.get_by_label("Red 12")).to_be_visible()
    await list_page.get_by_role("link", name="Hide counts").click()
    await expect(list_page.locator(".facet")).to_have_count(0)
