"""Forms of gadgets in a browser: dates, and buttons that are pressed twice."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, Page, Route, expect

from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.gadget_feature import Gadget, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, read_all

STORED_AT = datetime(2026, 12, 2, 16, 0, 5, 250, tzinfo=UTC)
app = site_fixture(gadgets, make_makers)


@pytest.fixture
async def local_page(app: FastAPI, chromium: Browser, site: str, superuser: User) -> AsyncIterator[Page]:
    """Form of a new gadget, filled in except for its dates."""
    context = await chromium.new_context(base_url=site, timezone_id="UTC")
    page = await context.new_page()
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/gadget/create?name=clock&maker_id=1")
    yield page
    await context.close()


async def read_gadgets(app: FastAPI) -> list[Gadget]:
    return await read_all(app, Gadget)


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()


async def test_date_and_time_are_stored_as_the_form_shows_them(app: FastAPI, local_page: Page) -> None:
    await local_page.get_by_label("Made on").fill("2026-12-02")
    await local_page.get_by_label("Seen at").fill("2026-12-02T16:00")
    await save(local_page)
    await expect(local_page.get_by_role("status")).to_contain_text("was saved")
    (gadget,) = await read_gadgets(app)
    assert (gadget.made_on, gadget.seen_at) == (date(2026, 12, 2), datetime(2026, 12, 2, 16, tzinfo=UTC))


async def test_incomplete_date_is_not_sent(app: FastAPI, local_page: Page) -> None:
    made_on = local_page.get_by_label("Made on")
    await made_on.focus()
    await local_page.keyboard.type("12")
    await save(local_page)
    await expect(made_on).to_be_focused()
    assert await read_gadgets(app) == []


async def test_unchanged_row_keeps_its_times(app: FastAPI, local_page: Page) -> None:
    await add_rows(app, Gadget(id=1, name="watch", maker_id=1, made_on=date(2026, 12, 2), seen_at=STORED_AT))
    await local_page.goto("/admin/gadget/edit/1")
    await expect(local_page.get_by_label("Made on")).to_have_value("2026-12-02")
    await expect(local_page.get_by_label("Seen at")).to_have_value("2026-12-02T16:00:05")
    await save(local_page)
    await expect(local_page.get_by_role("status")).to_contain_text("was saved")
    (gadget,) = await read_gadgets(app)
    assert (gadget.made_on, gadget.seen_at) == (date(2026, 12, 2), STORED_AT)


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
