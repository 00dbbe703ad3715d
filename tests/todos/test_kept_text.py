"""Texts that were not saved: drafts of forms, and forms that are sent after the session has ended."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from playwright.async_api import Locator, Page, Route, expect

from app.todos.models import Todo
from opportune.accounts import User
from opportune.testing import sign_in_browser


@pytest.fixture
async def title(page: Page, app: FastAPI, site: str, superuser: User) -> Locator:
    """The title of a to-do in the form of the superuser's list."""
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/todos")
    return page.locator("main [name=title]").first


@pytest.fixture
async def todo(app: FastAPI, superuser: User) -> Todo:
    async with app.state.database.writer() as session:
        session.add(todo := Todo(owner_id=superuser.id, title="Milk"))
    return todo


async def fill_and_keep(page: Page, field: Locator, text: str) -> None:
    await field.fill(text)
    await expect(page.get_by_text("Draft kept in this browser.")).to_be_visible()


async def test_notice_ends_with_saving(page: Page, app: FastAPI, site: str, superuser: User, title: Locator) -> None:
    await title.fill("Milk")
    await page.context.clear_cookies()
    await title.press("Enter")
    await page.wait_for_url("**/accounts/login?**")
    await sign_in_browser(page, app, superuser, site)
    await page.goto(parse_qs(urlsplit(page.url).query)["next"][0])
    await expect(title).to_have_value("Milk")
    await expect(page.locator("#kept-form")).to_be_visible()
    await title.press("Enter")
    await expect(page.locator("#board").get_by_text("Milk")).to_be_visible()
    await expect(page.locator("#kept-form")).to_have_count(0)


async def test_draft_survives_reload_and_a_closed_tab(page: Page, app: FastAPI, site: str, superuser: User) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/todo/create")
    field = page.locator("main form[method=post] :is(textarea, input[name=title])").first
    await fill_and_keep(page, field, "Buy milk")
    await page.reload()
    await expect(field).to_have_value("Buy milk")
    tab = await page.context.new_page()
    await page.close()
    await tab.goto(f"{site}/admin/todo/create")
    await expect(tab.get_by_text("Your draft is here again.")).to_be_visible()
    await tab.get_by_role("button", name="Discard").click()
    await tab.reload()
    await expect(tab.locator("main form[method=post] :is(textarea, input[name=title])").first).to_have_value("")


async def type_before_the_script_loads(page: Page, text: str) -> None:
    is_typed = asyncio.Event()

    async def load_after_typing(route: Route) -> None:
        await asyncio.wait_for(is_typed.wait(), 30)
        await route.continue_()

    await page.route("**/drafts*.js*", load_after_typing, times=1)
    await page.goto("/todos")
    await page.locator("main [name=title]").first.fill(text)
    is_typed.set()


async def test_older_draft_does_not_replace_typed_text(page: Page, title: Locator) -> None:
    await fill_and_keep(page, title, "Bread")
    await type_before_the_script_loads(page, "Milk")
    await expect(page.get_by_text("Your draft is still kept.")).to_be_visible()
    await expect(title).to_have_value("Milk")
    await page.get_by_role("button", name="Insert it").click()
    await expect(title).to_have_value("Bread")


async def test_text_typed_before_the_script_loads_is_kept(page: Page, title: Locator) -> None:
    await type_before_the_script_loads(page, "Milk")
    await expect(page.get_by_text("Draft kept in this browser.")).to_be_visible()
    await page.reload()
    await expect(title).to_have_value("Milk")


async def test_form_stays_on_the_page_while_offline(page: Page, app: FastAPI, site: str, superuser: User) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/accounts/profile")
    field = page.locator("main [name=display_name]")
    await fill_and_keep(page, field, "Bread")
    await page.context.set_offline(True)
    await field.press("Enter")
    await expect(page.get_by_text("The server does not respond.")).to_be_visible()
    await expect(field).to_have_value("Bread")
    await page.context.set_offline(False)
    await field.press("Enter")
    await expect(page.locator("main .alert[role=status]")).to_be_visible()


async def test_draft_ends_when_it_is_saved(page: Page, title: Locator, todo: Todo) -> None:
    await page.goto(f"/todos/{todo.id}")
    await fill_and_keep(page, title, "Oat milk")
    await page.reload()
    await expect(title).to_have_value("Oat milk")
    await title.press("Enter")
    await page.wait_for_url("**/todos")
    await page.wait_for_function("!Object.keys(localStorage).some((key) => key.startsWith('draft:'))")


async def test_draft_does_not_replace_newer_text(page: Page, app: FastAPI, title: Locator, todo: Todo) -> None:
    await page.goto(f"/todos/{todo.id}")
    await fill_and_keep(page, title, "Milk and tea")
    async with app.state.database.writer() as session:
        (await session.get_one(Todo, todo.id)).title = "Oat milk"
    await page.reload()
    await expect(title).to_have_value("Oat milk")
    await page.get_by_role("button", name="Insert it").click()
    await expect(title).to_have_value("Milk and tea")
