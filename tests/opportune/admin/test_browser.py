"""What only a browser shows: what it does to texts, and what can be seen."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Locator, Page, expect

from opportune.accounts.models import Session, User
from opportune.db.model import utc_now
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.gadget_feature import Gadget

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")

TEXTS: dict[str, Any] = {
    "nickname": "two\nlines",
    "story": "\nfirst empty\n\nlast empty\n",
    "motto": "from\r\nWindows",
    "notes": "two\rlines",
}


@pytest.fixture
def app(app_with_gadgets: FastAPI) -> FastAPI:
    return app_with_gadgets


@pytest.fixture
async def browser_page(app: FastAPI, page: Page, superuser: User, site: str) -> Page:
    await sign_in_browser(page, app, superuser, site)
    async with app.state.database.writer() as session:
        session.add(Gadget(name="first", maker_id=1, **TEXTS))
    return page


async def test_saving_keeps_the_texts_that_nobody_touched_and_pickers_offer_rows_before_anything_is_typed(
    app: FastAPI, browser_page: Page
) -> None:
    await browser_page.goto("/admin/gadget/edit/1")
    await see_rows_offered(browser_page, "spare_id")
    await browser_page.get_by_label("Name", exact=True).fill("renamed")
    await browser_page.get_by_role("button", name="Save", exact=True).click()
    await expect(browser_page.get_by_text("was saved")).to_be_visible()
    async with app.state.database.reader() as session:
        gadget = await session.get_one(Gadget, 1)
    assert gadget.name == "renamed"
    assert {name: getattr(gadget, name) for name in TEXTS} == TEXTS
    await browser_page.goto("/admin/gadget/list?maker_id=1")
    await see_rows_offered(browser_page, "filter-maker_id")


async def see_rows_offered(page: Page, picker: str) -> None:
    await page.locator(f"#select2-{picker}-container").click()
    await expect(page.get_by_role("option", name="100% Ltd")).to_be_visible()
    await page.keyboard.press("Escape")


async def test_in_a_list_links_stand_out_and_long_words_push_no_action_away(
    app: FastAPI, browser_page: Page, superuser: User
) -> None:
    await see_links_stand_out(browser_page)
    async with app.state.database.writer() as session:
        agent = "Mozilla/5.0 (X11; Linux x86_64) " * 8
        session.add(Session(user_id=superuser.id, token_hash="0", agent=agent, address="::1", expires_at=utc_now()))
        (await session.get_one(User, superuser.id)).email = f"{'long' * 15}@{'name' * 10}.example.com"
    await browser_page.set_viewport_size({"width": 1280, "height": 700})
    await browser_page.goto("/admin/session/list")
    actions = browser_page.get_by_title("Delete", exact=True).first
    await expect(actions).to_be_in_viewport(ratio=1)
    await browser_page.set_viewport_size({"width": 500, "height": 700})
    assert await browser_page.evaluate("document.documentElement.scrollWidth") == 500
    await actions.scroll_into_view_if_needed()
    await expect(actions).to_be_in_viewport(ratio=1)


async def luminance(part: Locator, style: str) -> float:
    """How bright a colour is, as WCAG counts."""
    colour: str = await part.evaluate(f"part => getComputedStyle(part).{style}")
    scale = 1 if "srgb" in colour else 255
    parts = [float(number) / scale for number in re.findall(r"[\d.]+", colour)[:3]]
    red, green, blue = ((part / 12.92) if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def see_links_stand_out(browser_page: Page) -> None:
    await browser_page.goto("/admin/gadget/list")
    for scheme in ("light", "dark"):
        await browser_page.evaluate(f"localStorage.setItem('theme', '{scheme}')")
        await browser_page.reload()
        await expect(browser_page.locator("html")).to_have_attribute("data-bs-theme", scheme)
        ground = await luminance(browser_page.locator(".card").first, "backgroundColor")
        for name in ("1", "Acme"):
            link = await luminance(browser_page.get_by_role("cell").get_by_role("link", name=name, exact=True), "color")
            assert (max(link, ground) + 0.05) / (min(link, ground) + 0.05) >= 4.5, (name, scheme)
