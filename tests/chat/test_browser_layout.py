"""The chat on a phone, with the keyboard, and with long conversations, in Chromium."""

import asyncio

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, Route, expect

from app.chat.conversation_view import MAX_QUESTIONS_PER_PAGE
from app.chat.models import Conversation
from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.testing import make_user, sign_in_browser
from tests.chat.conversations import ask_in_browser, make_conversation

REAL_MODEL = "main a[href='/admin/llm/provider']"
FOOTER = '<footer class="container-xl py-3 text-secondary">Reading Circle, Lisbon</footer>'
"""Footer of a project, as in `oppman.py docs make-it-yours`."""
DESKTOP, PHONE = (1280, 800), (390, 844)


async def test_header_is_sticky_on_a_phone(page: Page, app: FastAPI, site: str, user: User) -> None:
    await page.set_viewport_size({"width": 390, "height": 700})
    await sign_in_browser(page, app, user, site)
    await page.goto(f"/chat/{await make_conversation(app.state.database, user.id, 20)}")
    await expect(page.locator(".chat-header")).to_be_in_viewport()
    assert await page.evaluate("scrollY") > 0
    await page.locator(".chat-menu summary").click()
    await expect(page.locator("[action$='/share'] button")).to_be_in_viewport()


async def test_empty_chat_begins_at_its_head(chat_page: Page) -> None:
    await chat_page.set_viewport_size({"width": 390, "height": 400})
    await chat_page.goto("/chat?temporary=true")
    await chat_page.wait_for_function("document.documentElement.scrollHeight > innerHeight + 80")
    assert await chat_page.evaluate("scrollY") == 0


async def test_enter_is_a_new_line_on_touch_screens(
    page: Page, app: FastAPI, site: str, user: User, fake_llm: FakeProvider
) -> None:
    browser = page.context.browser
    assert browser
    context = await browser.new_context(
        base_url=site, viewport={"width": 390, "height": 700}, is_mobile=True, has_touch=True
    )
    page = await context.new_page()
    await sign_in_browser(page, app, user, site)
    await page.goto("/chat")
    question = page.locator("#question")
    await question.fill("One")
    await question.press("Enter")
    await question.press_sequentially("two")
    await expect(question).to_have_value("One\ntwo")
    await page.locator("#send").click()
    await expect(page.locator(".chat-question")).to_have_text("One\ntwo")
    await context.close()


@pytest.mark.parametrize("width", [390, 1280])
async def test_slash_goes_to_the_search(chat_page: Page, width: int) -> None:
    await chat_page.set_viewport_size({"width": width, "height": 700})
    await chat_page.locator("#question").fill("1")
    await chat_page.locator("#question").press("/")
    await expect(chat_page.locator("#question")).to_have_value("1/")
    await chat_page.locator("#question").blur()
    await chat_page.keyboard.press("/")
    await expect(chat_page.locator("main [name=q]")).to_be_focused()


async def test_toy_offers_examples_and_superusers_a_real_model(
    page: Page, app: FastAPI, site: str, fake_llm: FakeProvider
) -> None:
    fake_llm.is_toy, fake_llm.script = True, ["Paris."]
    boss = await make_user(app.state.database, email="boss@example.com", is_superuser=True)
    await sign_in_browser(page, app, boss, site)
    await page.goto("/chat")
    await expect(page.locator(REAL_MODEL)).to_be_visible()
    example = page.locator(".chat-examples button").first
    question = await example.inner_text()
    await example.click()
    await expect(page.locator(".chat-question")).to_have_text(question)
    await expect(page.locator("article").last).to_contain_text("Paris.")


async def test_real_model_is_not_called_a_toy(chat_page: Page) -> None:
    await expect(chat_page.locator("#question")).to_be_visible()
    await expect(chat_page.locator(REAL_MODEL)).to_have_count(0)


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


async def test_long_line_of_code_scrolls_on_a_phone(page: Page, owner: User, fake_llm: FakeProvider) -> None:
    fake_llm.script = [f"```python\nprint({'1, ' * 99})\n```"]
    await page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    await page.goto("/chat")
    await ask_in_browser(page, "Code?")
    code = page.locator("article pre")
    await expect(page.locator("article [data-copy]").or_(code)).not_to_have_count(0)
    assert await code.evaluate("code => code.scrollWidth > code.clientWidth")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


async def test_long_paste_into_the_composer_stays_whole(page: Page, owner: User) -> None:
    await page.goto("/chat")
    composer = page.locator("main textarea[name=content]")
    length = int(await composer.get_attribute("data-maxlength") or 0) + 9
    await composer.focus()
    await page.keyboard.insert_text("€" * length)
    await expect(composer).to_have_value("€" * length)
    assert "please shorten it" in await composer.evaluate("field => field.validationMessage")
