"""The chat with long conversations, in Chromium."""

import asyncio

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, Route, expect

from app.chat.conversation_view import MAX_QUESTIONS_PER_PAGE
from app.chat.models import Conversation
from opportune.accounts import User
from opportune.testing import make_user, sign_in_browser
from tests.chat.conversations import make_conversation

FOOTER = '<footer class="container-xl py-3 text-secondary">Reading Circle, Lisbon</footer>'
"""Footer of a project, as in `oppman.py docs make-it-yours`."""
DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture
async def owner(app: FastAPI, page: Page, site: str) -> User:
    user = await make_user(app.state.database)
    await sign_in_browser(page, app, user, site)
    return user


@pytest.fixture
async def conversations(app: FastAPI, owner: User) -> list[int]:
    """Sixty conversations, the oldest first."""
    async with app.state.database.writer() as session:
        rows = [Conversation(owner_id=owner.id, title=f"Number {number}") for number in range(60)]
        session.add_all(rows)
        await session.flush()
        return [conversation.id for conversation in rows]


async def open_conversation(page: Page, size: tuple[int, int], conversation_id: int) -> None:
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    await page.goto(f"/chat/{conversation_id}")


async def test_list_scrolls_to_open_conversation(page: Page, conversations: list[int]) -> None:
    for size in (DESKTOP, PHONE):
        await open_conversation(page, size, conversations[3])
        await expect(page.get_by_role("heading", name="Number 3")).to_be_in_viewport()
        await expect(page.locator("#question")).to_be_in_viewport()
        overflow = await page.evaluate("document.documentElement.scrollHeight - innerHeight")
        assert overflow <= 0, "the page is longer than the window"
        if size == PHONE:
            await page.locator("#chat-conversations").click()
        await expect(page.get_by_role("link", name="Number 3", exact=True)).to_be_in_viewport(ratio=1)


async def test_footer_keeps_the_navigation_visible(page: Page, conversations: list[int]) -> None:
    async def add_footer(route: Route) -> None:
        response = await route.fetch()
        html = (await response.text()).replace("</main>", f"</main>{FOOTER}")
        await route.fulfill(response=response, body=html)

    await page.route("**/chat/*", add_footer)
    for size in (DESKTOP, PHONE):
        await open_conversation(page, size, conversations[3])
        await expect(page.get_by_text("Reading Circle, Lisbon")).to_be_in_viewport(ratio=1)
        await expect(page.locator("header .navbar-brand")).to_be_in_viewport(ratio=1)
        await expect(page.locator("#question")).to_be_in_viewport()
        assert await page.evaluate("document.documentElement.scrollHeight - innerHeight") <= 0, size


async def test_earlier_messages_load_without_a_jump(page: Page, app: FastAPI, owner: User) -> None:
    """Scroll to the top, where browsers do not keep the position themselves, or just below it."""
    questions = 2 * MAX_QUESTIONS_PER_PAGE + 5
    conversation_id = await make_conversation(app.state.database, owner.id, questions)
    may_load = asyncio.Event()

    async def wait_before_loading(route: Route) -> None:
        await may_load.wait()
        await route.continue_()

    await page.route("**/chat/*?before=*", wait_before_loading)
    await open_conversation(page, DESKTOP, conversation_id)
    await expect(page.get_by_text(f"Answer {questions - 1}.")).to_be_in_viewport()
    for scrolled_to, loaded in ((0, MAX_QUESTIONS_PER_PAGE), (1, 2 * MAX_QUESTIONS_PER_PAGE)):
        may_load.clear()
        await expect(page.locator("article")).to_have_count(2 * loaded)
        oldest = page.locator(".chat-question").get_by_text(f"Question {questions - loaded}?", exact=True)
        await page.evaluate(f"scrollTo(0, {scrolled_to})")
        position_before = await oldest.bounding_box()
        may_load.set()
        await expect(page.locator("article")).to_have_count(2 * min(loaded + MAX_QUESTIONS_PER_PAGE, questions))
        position_after = await oldest.bounding_box()
        assert position_before
        assert position_after
        assert abs(position_before["y"] - position_after["y"]) < 1, scrolled_to
    await expect(page.locator(".chat-question")).to_have_text([f"Question {number}?" for number in range(questions)])
    await expect(page.locator("#earlier")).to_have_count(0)


async def test_long_paste_into_the_composer_stays_whole(page: Page, owner: User) -> None:
    await page.goto("/chat")
    composer = page.locator("main textarea[name=content]")
    length = int(await composer.get_attribute("data-maxlength") or 0) + 9
    await composer.focus()
    await page.keyboard.insert_text("€" * length)
    await expect(composer).to_have_value("€" * length)
    assert "please shorten it" in await composer.evaluate("field => field.validationMessage")
