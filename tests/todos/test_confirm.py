"""Questions before something is deleted."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from app.todos.models import Todo
from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser
from opportune.testing.services.accessibility import find_violations

# A browser shows the same with both databases.
pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
async def todo_page(app: FastAPI, page: Page, superuser: User, site: str) -> Page:
    async with app.state.database.writer() as session:
        session.add(Todo(title="Milk", owner_id=superuser.id))
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/todos")
    return page


async def test_a_question_is_a_dialog_of_the_page(todo_page: Page) -> None:
    delete, dialog = todo_page.get_by_role("button", name="Delete: Milk"), todo_page.get_by_role("dialog")
    await delete.click()
    await expect(dialog).to_have_accessible_name("Delete this to-do?")
    assert not await find_violations(todo_page)
    await todo_page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(delete).to_be_focused()
    await delete.click()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(todo_page.get_by_role("link", name="Milk")).to_be_visible()


async def test_yes_does_it(todo_page: Page) -> None:
    await todo_page.get_by_role("button", name="Delete: Milk").click()
    await todo_page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    await expect(todo_page.get_by_role("link", name="Milk")).to_be_hidden()
