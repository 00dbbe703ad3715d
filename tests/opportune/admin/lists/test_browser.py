"""A list as who works with it all day uses it: narrowed, exported, imported and acted on."""

import asyncio
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import Session, User
from opportune.db.model import utc_now
from opportune.testing.factories import make_user, sign_in_browser
from tests.opportune.admin.gadget_feature import Colour, Gadget

IS_CUT = "cell => [cell, ...cell.querySelectorAll('*')].some((part) => part.scrollWidth > part.clientWidth + 1)"

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
async def app(app_with_gadgets: FastAPI) -> FastAPI:
    async with app_with_gadgets.state.database.writer() as session:
        session.add_all(Gadget(name=f"red {number}", maker_id=1) for number in range(26))
        session.add(Gadget(name="blue", maker_id=1, colour=Colour.DEEP_BLUE))
    return app_with_gadgets


async def test_a_list_is_narrowed_exported_imported_and_acted_on(
    app: FastAPI, page: Page, superuser: User, site: str, tmp_path: Path
) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/gadget/list")
    await page.get_by_text("Filters").click()
    await page.get_by_label("Deep blue").check()
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("link", name="Colour: Deep blue")).to_be_visible()
    await expect(page.locator("tbody tr")).to_have_count(1)

    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export CSV").click()
    file = tmp_path / "gadgets.csv"
    await (await download.value).save_as(file)
    assert (await asyncio.to_thread(file.read_text)).count("blue") == 2, "its name and its colour"

    await page.get_by_role("link", name="Import").click()
    await page.get_by_label("File").set_input_files({"name": "a.csv", "mimeType": "", "buffer": b"x" * 1_000_001})
    await expect(page.get_by_role("alert")).to_have_text("Please choose a file of at most 1000 kB.")
    sent = (await asyncio.to_thread(file.read_text)).replace("blue,", "azure,", 1).encode()
    await page.get_by_label("File").set_input_files({"name": "a.csv", "mimeType": "", "buffer": sent})
    await page.get_by_role("button", name="Show what is in it").click()
    await page.get_by_role("button", name="Import 1 Gadget").click()
    await expect(page.get_by_role("status")).to_contain_text("Imported 1 Gadget")

    await page.get_by_role("cell").get_by_role("link", name="azure").click()
    await page.get_by_role("link", name="Edit").click()
    await page.get_by_label("Seen at").fill("2026-11-20 16:05:00")
    await page.keyboard.press("Control+s")
    await expect(page.locator("tbody tr"), "the list is as narrow as before").to_have_count(2)
    await page.get_by_title("Edit").first.click()
    await expect(page.get_by_label("Seen at")).to_have_value("2026-11-20 16:05:00")

    await page.goto("/admin/gadget/list?colour=red&maker_id=1&maker_id=2")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("link", name="Maker: Acme"), "a second look loses no choice").to_be_visible()
    await expect(page.get_by_role("link", name="Maker: 100% Ltd")).to_be_visible()
    await page.get_by_label("Choose all of this page").check()
    await expect(page.get_by_text("25 chosen:")).to_be_visible()
    await page.get_by_label("All 26 that match").check()
    await page.get_by_role("button", name="Polish").click()
    await page.get_by_role("button", name="Yes").click()
    await expect(page.get_by_role("heading", name="Gadgets")).to_be_visible()
    await page.goto("/admin/gadget/list?colour=red")
    await page.get_by_label("All 26 that match").check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.get_by_role("button", name="Yes, delete").click()
    await expect(page.get_by_role("status")).to_contain_text(re.compile("Deleted 26 "))


async def test_an_email_has_its_room_long_words_push_no_action_away_and_a_phone_without_javascript_has_the_menu(
    app: FastAPI, page: Page, plain_page: Page, superuser: User, site: str
) -> None:
    email = "somebody.with.a.long.name@post.example.org"
    await make_user(app.state.database, email)
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/user/list")
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 800})
        cell = page.get_by_role("cell", name=email)
        assert not await cell.evaluate(IS_CUT), width
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await see_long_words_push_no_action_away(app, page, superuser)

    await plain_page.set_viewport_size({"width": 390, "height": 780})
    await sign_in_browser(plain_page, app, superuser, site)
    await plain_page.goto("/admin/")
    await plain_page.get_by_label("Admin").get_by_role("link", name="Users").click()
    await plain_page.wait_for_url("**/admin/user/list")


async def see_long_words_push_no_action_away(app: FastAPI, page: Page, superuser: User) -> None:
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
    await actions.scroll_into_view_if_needed()
    await expect(actions).to_be_in_viewport(ratio=1)
