"""Lists in a browser, on a desktop and on a phone."""

from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.models import Session, User
from opportune.config.settings import Settings
from opportune.db.models.model import utc_now
from opportune.testing.factories import make_user
from tests.opportune.admin.gadget_feature import Colour, Gadget, GadgetAdmin, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import read_one

TEXTS: dict[str, Any] = {
    "nickname": "two\nlines",
    "story": "\nfirst empty\n\nlast empty\n",
    "data": "from\r\nWindows",
    "notes": "two\rlines",
}
IS_CUT = "cell => [cell, ...cell.querySelectorAll('*')].some((part) => part.scrollWidth > part.clientWidth + 1)"


app = site_fixture(
    gadgets,
    lambda: [
        *make_makers(),
        *(Gadget(name=f"red {number}", maker_id=1) for number in range(26)),
        Gadget(name="blue", maker_id=1, colour=Colour.DEEP_BLUE, **TEXTS),
    ],
)


async def test_keyboard_save_returns_to_the_filtered_list(app: FastAPI, page: Page) -> None:
    await page.goto("/admin/gadget/list?search=blue")
    await page.get_by_title("Edit").first.click()
    await page.get_by_label("Seen at").fill("2026-11-20 16:05:00")
    await page.keyboard.press("Control+s")
    await expect(page.get_by_role("status")).to_contain_text("was saved")
    await expect(page.locator("tbody tr"), "the list is still filtered").to_have_count(1)
    saved = await read_one(app, select(Gadget).where(col(Gadget.name) == "blue"))
    assert saved.seen_at
    assert saved.seen_at.isoformat() == "2026-11-20T16:05:00+00:00"
    assert {name: getattr(saved, name) for name in TEXTS} == TEXTS, "untouched fields are unchanged"

    await page.goto("/admin/gadget/list?colour=red&maker_id=1&maker_id=2")
    await page.get_by_role("combobox", name="Maker", exact=True).click()
    await expect(
        page.get_by_role("option", name="100% Ltd"), "rows are offered before anything is typed"
    ).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Maker: Acme"), "the filters stay selected").to_be_visible()
    await expect(page.get_by_role("link", name="Maker: 100% Ltd")).to_be_visible()
    await page.get_by_label("Select all rows on this page").check()
    await expect(page.get_by_text("25 selected:")).to_be_visible()
    await page.get_by_label("All 26 that match").check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_text("Delete 26 Gadgets?")).to_be_visible()


async def test_lists_fit_a_phone(app: FastAPI, page: Page, superuser: User) -> None:
    email = "long.name.of.ada@example.org"
    await make_user(app.state.database, email)
    await page.goto("/admin/user/list")
    for width in (1440, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        cell = page.get_by_role("cell", name=email)
        assert not await cell.evaluate(IS_CUT), width
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.get_by_text("Sort", exact=True).click()
    are_large = "links => links.every(link => Math.min(link.offsetWidth, link.offsetHeight) >= 24)"
    assert await page.locator(".list-panel a, .page-sizes > a").evaluate_all(are_large), (
        "the sort link is large enough for a finger"
    )
    await check_actions_stay_visible_beside_long_texts(app, page, superuser)


class TestLanguages:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"languages": ["en", "de"]})

    async def test_german_buttons_are_in_one_line(self, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(GadgetAdmin, "name", "Veranstaltung")
        await page.set_viewport_size({"width": 1000, "height": 700})
        await page.set_extra_http_headers({"Accept-Language": "de"})
        await page.goto("/admin/gadget/list")
        tops = "buttons => [...new Set(buttons.map((button) => Math.round(button.getBoundingClientRect().top)))]"
        buttons = page.locator(".page-header .btn:visible")
        await expect(buttons.filter(has_text="Importieren")).to_be_visible()
        assert len(await buttons.evaluate_all(tops)) == 1


async def check_actions_stay_visible_beside_long_texts(app: FastAPI, page: Page, superuser: User) -> None:
    async with app.state.database.writer() as session:
        agent = "Mozilla/5.0 (X11; Linux x86_64) " * 8
        session.add(Session(user_id=superuser.id, token_hash="0", agent=agent, address="::1", expires_at=utc_now()))
        (await session.get_one(User, superuser.id)).email = f"{'long' * 15}@{'name' * 10}.example.com"
    await page.set_viewport_size({"width": 1280, "height": 700})
    await page.goto("/admin/session/list")
    actions = page.get_by_title("Delete", exact=True).first
    await expect(actions).to_be_in_viewport(ratio=1)
    await page.set_viewport_size({"width": 500, "height": 700})
    assert await page.evaluate("document.documentElement.scrollWidth") == 500
    await page.get_by_role("button", name="Actions for").first.click()
    await expect(actions).to_be_in_viewport(ratio=1)


async def test_printed_list_has_no_navigation(page: Page) -> None:
    await page.goto("/admin/user/list")
    await expect(page.get_by_role("link", name="Add User")).to_be_visible()
    await page.emulate_media(media="print")
    await expect(page.locator("aside.navbar-vertical")).to_be_hidden()
    await expect(page.get_by_role("link", name="Add User")).to_be_hidden()
    assert await page.locator("main").evaluate("(main) => main.getBoundingClientRect().left") == 0
    await page.emulate_media(media="screen")
