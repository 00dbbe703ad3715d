"""The pages of a model in Chromium: typing, keyboard, dialogs and accessibility."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing import make_user, sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.opportune.crud.library import Topic, Writer, volume
from tests.opportune.stored_rows import add_rows

IS_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
async def app(library_app: FastAPI) -> FastAPI:
    await add_rows(
        library_app,
        *(Writer(name=f"Writer {number:03}") for number in range(1, 80)),
        *(Topic(name=f"Topic {number}") for number in range(1, 15)),
        *(volume(title=f"Book {number:02}", slug=f"book-{number}", writer_id=number) for number in range(1, 31)),
    )
    return library_app


@pytest.fixture
async def page(app: FastAPI, page: Page, site: str) -> Page:
    await sign_in_browser(page, app, await make_user(app.state.database, is_superuser=True), site)
    return page


async def test_page_fits_every_width(page: Page) -> None:
    await page.goto("/volumes")
    await page.locator("thead th").evaluate_all("cells => cells.forEach((cell) => cell.append(' ' + 'x'.repeat(24)))")
    for width in (320, 480, 768, 992, 1280):
        await page.set_viewport_size({"width": width, "height": 700})
        assert not await page.evaluate(IS_TOO_WIDE), width


async def test_list_updates_while_the_user_types_and_filters(page: Page) -> None:
    await page.goto("/volumes")
    await page.get_by_role("searchbox", name="Search volumes").fill("book 1")
    await expect(page.locator("#found [role=status]")).to_have_text("12 volumes found")
    await expect(page).to_have_url("/volumes?q=book+1", ignore_case=True)
    await page.get_by_text("Filters").click()
    await page.get_by_role("combobox", name="Writer").fill("012")
    await page.get_by_role("option", name="Writer 012").click()
    await expect(page.locator("#found [role=status]")).to_have_text("1 volume found")
    await page.get_by_role("link", name="Book 12").click()
    await expect(page.get_by_role("heading", name="Book 12")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("combobox", name="Writer")).to_have_value("Writer 012")


async def test_list_is_accessible_and_sortable_on_a_phone(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 780})
    await page.goto("/volumes?q=book")
    await page.get_by_text("Filters").click()
    assert await find_violations(page) == []
    await page.locator("#found").get_by_role("link", name="Title").click()
    await expect(page).to_have_url("/volumes?q=book&sort=title")
    await expect(page.locator("tbody tr").first).to_contain_text("Book 01")


async def test_form_is_filled_in_by_keyboard(page: Page) -> None:
    await page.goto("/volumes/new")
    await page.get_by_label("Title").fill("Emma")
    await page.get_by_label("Slug").fill("emma")
    writer = page.get_by_role("combobox", name="Writer")
    await writer.focus()
    await page.keyboard.type("07")
    await expect(page.get_by_role("option", name="Writer 070")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(writer).to_have_value("Writer 070")
    topics = page.get_by_role("combobox", name="Topics")
    for term in ("topic 2", "topic 14"):
        await topics.focus()
        await page.keyboard.type(term)
        await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Remove Topic 14")).to_be_visible()
    await page.get_by_role("button", name="Remove Topic 2").click()
    await page.reload()
    await expect(writer).to_have_value("Writer 070")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("“Emma” is added.")).to_be_visible()
    await expect(page.get_by_role("link", name="Topic 14")).to_be_visible()
    await expect(page.get_by_role("link", name="Topic 2")).to_have_count(0)


async def test_related_row_is_added_in_an_accessible_dialog(page: Page) -> None:
    await page.goto("/volumes/new")
    await page.get_by_label("Title").fill("Persuasion")
    await page.get_by_role("combobox", name="Topics").click()
    await page.get_by_role("option", name="Topic 3", exact=True).click()
    await page.get_by_role("combobox", name="Writer").click()
    assert await find_violations(page) == []
    await page.get_by_role("link", name="Add writer").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Name")).to_be_visible()
    assert await find_violations(page) == []
    await dialog.get_by_role("button", name="Save").click()
    await dialog.get_by_label("Name").fill("Writer 001")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_text("This value is already in use.")).to_be_visible()
    await dialog.get_by_label("Name").fill("Jane Austen")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("combobox", name="Writer")).to_have_value("Jane Austen")
    await expect(page.get_by_label("Title")).to_have_value("Persuasion")


async def test_radio_button_stays_selected_after_an_error(page: Page) -> None:
    form = '<form hx-post="/sent" hx-swap="outerHTML"><input{} id="a" type="radio" name="a">'
    form += '<input{} type="radio" name="a">'
    refused = form.format("", " checked")
    await page.route("**/sent", lambda route: route.fulfill(status=422, content_type="text/html", body=refused))
    await page.goto("/volumes")
    show = "(html) => { const main = document.querySelector('main'); main.innerHTML = html; htmx.process(main); }"
    await page.evaluate(show, form.format(" checked", "") + "<button>Send</button>")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("radio").last).to_be_checked()
