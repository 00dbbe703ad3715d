"""The chat of somebody who has talked much, in Chromium."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from app.accounts.models import User
from app.features.chat.models import Conversation
from tests.factories import make_user, sign_in_browser

pytestmark = pytest.mark.e2e

DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture
def database_kind() -> str:
    """A browser shows the same with both kinds."""
    return "sqlite"


@pytest.fixture
async def owner(app: FastAPI, page: Page, site: str) -> User:
    user = await make_user(app.state.database)
    await sign_in_browser(page, app, user, site)
    return user


@pytest.fixture
async def conversations(app: FastAPI, owner: User) -> list[int]:
    """Sixty, oldest first."""
    async with app.state.database.writer() as session:
        made = [Conversation(owner_id=owner.id, title=f"Number {number}") for number in range(60)]
        session.add_all(made)
        await session.flush()
        return [conversation.id for conversation in made]


async def show(page: Page, size: tuple[int, int], conversation_id: int) -> None:
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    await page.goto(f"/chat/{conversation_id}")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
async def test_a_long_list_of_conversations_leaves_the_thread_in_view(
    page: Page, conversations: list[int], size: tuple[int, int]
) -> None:
    await show(page, size, conversations[-1])
    await expect(page.get_by_role("heading", name="Number 59")).to_be_in_viewport()
    await expect(page.get_by_label("Your question")).to_be_in_viewport()
    overflow = await page.evaluate("document.documentElement.scrollHeight - innerHeight")
    assert overflow <= 0, "the page has nothing to scroll"


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("number", [3, 25, 58])
async def test_the_list_shows_the_conversation_that_is_open(
    page: Page, conversations: list[int], size: tuple[int, int], number: int
) -> None:
    await show(page, size, conversations[number])
    if size == PHONE:
        await page.get_by_text("Conversations", exact=True).click()
    await expect(page.get_by_role("link", name=f"Number {number}", exact=True)).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("heading", name=f"Number {number}")).to_be_in_viewport()
