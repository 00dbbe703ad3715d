"""A form of the admin that is sent twice while the server is slow."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, Route, expect
from sqlalchemy import func, select

from tests.opportune.admin.gadget_feature import Gadget, GadgetAdmin
from tests.opportune.stored_rows import read_one


@pytest.fixture
async def app(app_with_gadgets: FastAPI) -> FastAPI:
    return app_with_gadgets


@pytest.fixture
def save_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """Event that saving a new gadget waits for."""
    event, insert = asyncio.Event(), GadgetAdmin.insert_model

    async def insert_slowly(self: GadgetAdmin, *args: Any, **options: Any) -> Any:
        await event.wait()
        return await insert(self, *args, **options)

    monkeypatch.setattr(GadgetAdmin, "insert_model", insert_slowly)
    yield event
    event.set()


async def count_gadgets(app: FastAPI) -> int:
    return int(await read_one(app, select(func.count()).select_from(Gadget)) or 0)


async def test_buttons_of_a_sent_form_are_busy(page: Page) -> None:
    await page.goto("/admin/gadget/create?name=clock&maker_id=1")
    requests: list[str] = []

    # Playwright reports nothing about a page while another one is loading.
    async def respond_without_page(route: Route) -> None:
        requests.append(route.request.post_data or "")
        await route.fulfill(status=204)

    await page.route("**/admin/gadget/create*", respond_without_page)
    button = page.get_by_role("button", name="Save", exact=True)
    await button.click(no_wait_after=True)
    await expect(button).to_be_disabled()
    await expect(button).to_have_attribute("aria-busy", "true")
    await expect(page.get_by_role("button", name="Save and continue")).to_be_disabled()
    await expect(page.get_by_role("progressbar", name="Loading")).to_be_visible()
    await page.locator("#name").press("Enter", no_wait_after=True)
    assert len(requests) == 1
    assert "save=Save" in requests[0], "the pressed button's value is sent"


async def test_second_submit_shows_the_first_result(
    app: FastAPI, plain_page: Page, save_allowed: asyncio.Event
) -> None:
    await plain_page.goto("/admin/gadget/create?name=clock&maker_id=1")
    await plain_page.locator("#name").focus()
    for _ in range(2):
        async with plain_page.expect_request(lambda request: request.method == "POST"):
            await plain_page.keyboard.press("Enter")
    save_allowed.set()
    await expect(plain_page.get_by_role("status")).to_contain_text("“Gadget 1” was saved.")
    assert await count_gadgets(app) == 1
