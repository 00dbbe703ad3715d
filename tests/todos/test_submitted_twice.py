"""Forms that are sent twice from a browser, while the server takes its time."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import func, select

from app.todos.models import Todo
from app.todos.service import Todos
from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser

pytestmark = pytest.mark.database("sqlite")

TITLE = "What is to be done?"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """Adding a to-do waits until this event is set."""
    may_finish, add = asyncio.Event(), Todos.add

    async def add_slowly(self: Todos, *args: Any, **options: Any) -> Any:
        await may_finish.wait()
        return await add(self, *args, **options)

    monkeypatch.setattr(Todos, "add", add_slowly)
    yield may_finish
    may_finish.set()


async def count_todos(app: FastAPI) -> int:
    async with app.state.database.reader() as session:
        return int(await session.scalar(select(func.count()).select_from(Todo)) or 0)


async def test_enter_twice_makes_one_todo(
    app: FastAPI, page: Page, superuser: User, site: str, slow: asyncio.Event
) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/todos")
    button = page.get_by_role("button", name="Add", exact=True)
    await page.get_by_label(TITLE).fill("Milk")
    await page.keyboard.press("Enter")
    await expect(button).to_be_disabled()
    await expect(button).to_have_attribute("aria-busy", "true")
    await expect(page.get_by_role("progressbar", name="Loading")).to_be_visible()
    await page.keyboard.press("Enter")
    slow.set()
    await expect(page.get_by_role("link", name="Milk")).to_have_count(1)
    await expect(button).to_be_enabled()
    await expect(page.locator(".loading-bar")).to_be_hidden()
    assert await count_todos(app) == 1


async def test_the_same_todo_can_be_added_again(app: FastAPI, page: Page, superuser: User, site: str) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/todos")
    for number in (1, 2):
        await page.get_by_label(TITLE).fill("Milk")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="Milk")).to_have_count(number)
    assert await count_todos(app) == 2


async def test_enter_twice_without_javascript_makes_one_todo(
    app: FastAPI, plain_page: Page, superuser: User, site: str, slow: asyncio.Event
) -> None:
    await sign_in_browser(plain_page, app, superuser, site)
    await plain_page.goto("/todos")
    await plain_page.get_by_label(TITLE).fill("Milk")
    for _ in range(2):
        async with plain_page.expect_request(lambda request: request.method == "POST"):
            await plain_page.keyboard.press(
                "Enter",
            )
    slow.set()
    await expect(plain_page.get_by_role("link", name="Milk")).to_have_count(1)
    await expect(plain_page).to_have_url(re.compile("/todos#title"))
    assert await count_todos(app) == 1
