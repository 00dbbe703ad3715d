"""The chat in Chromium."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, Route, expect

from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.llm import FakeProvider, Reasoning
from opportune.testing import PASSWORD, sign_in_browser
from tests.chat.conversations import ask_in_browser, make_conversation


@pytest.fixture
async def script(app: FastAPI, page: Page, site: str, user: User, fake_llm: FakeProvider) -> FakeProvider:
    """Model whose answers the test scripts. A user is signed in in the browser."""
    await sign_in_browser(page, app, user, site)
    fake_llm.script = ["An answer."]
    return fake_llm


async def test_second_tab_shows_the_running_answer(page: Page, app: FastAPI, user: User, script: FakeProvider) -> None:
    await page.goto(f"/chat/{await make_conversation(app.state.database, user.id, 1)}")
    script.script = ["So far", asyncio.Event()]
    other_tab = await page.context.new_page()
    await other_tab.goto(page.url)
    await page.evaluate("window.same = true")
    await ask_in_browser(other_tab, "Two?")
    await expect(other_tab.locator("article").nth(3)).to_contain_text("So far")
    await expect(other_tab.locator("#question")).to_have_value("")
    await page.bring_to_front()
    await ask_in_browser(page, "Three?")
    await expect(page.locator("#refusal")).not_to_be_empty()
    await expect(page.locator("article").nth(3)).to_contain_text("So far")
    await page.locator("#stop").click()
    for tab in (page, other_tab):
        await expect(tab.locator("article .badge")).to_be_visible()
    await expect(page.locator("#refusal")).to_be_empty()
    script.script = ["Another."]
    await other_tab.locator("[action$='/retry'] button").last.click()
    for tab in (page, other_tab):
        await expect(tab.locator("article").nth(3)).to_contain_text("Another.")
        await expect(tab.locator("#send")).to_be_visible()
    await expect(page.locator(".chat-question")).to_have_text(["Question 0?", "Two?"])
    assert await page.evaluate("window.same"), "the page was not reloaded"
    await other_tab.locator(".chat-menu summary").click()
    await other_tab.locator("[action$='/delete'] button").click()
    for tab in (page, other_tab):
        await expect(tab).to_have_url(re.compile("/chat$"))
    await expect(other_tab.locator(".chat-link")).to_have_count(0)


async def test_retry_replaces_a_failed_answer(page: Page, script: FakeProvider) -> None:
    script.script = [llm.LlmError("timeout", "The model took too long.")]
    await page.goto("/chat")
    await ask_in_browser(page, "Why?")
    await expect(page.get_by_role("alert").filter(has_text="took too long")).to_have_count(1)
    script.script = ["Better."]
    async with delay_first_refresh(page):
        await page.locator("[action$='/retry'] button").click()
        await expect(page.get_by_text("Better.")).to_be_visible()
        await expect(page.locator("#stop")).to_be_hidden()
    await expect(page.get_by_text("Better.")).to_be_visible()
    await expect(page.get_by_text("took too long")).to_have_count(0)
    await expect(page.locator("article")).to_have_count(2)


@asynccontextmanager
async def delay_first_refresh(page: Page) -> AsyncIterator[None]:
    """Delay the response of the first refresh, so that it arrives after newer ones."""
    routes, has_arrived, may_continue = list[Route](), asyncio.Event(), asyncio.Event()

    async def delay_first_response(route: Route) -> None:
        routes.append(route)
        if len(routes) > 1:
            await route.continue_()
            return
        response = await route.fetch()
        has_arrived.set()
        await asyncio.wait_for(may_continue.wait(), 30)
        await route.fulfill(response=response)

    await page.route(page.url, delay_first_response)
    await page.evaluate('new BroadcastChannel("chat").postMessage("changed")')
    await asyncio.wait_for(has_arrived.wait(), 30)
    yield
    async with page.expect_response(lambda _: len(routes) == 2):
        may_continue.set()
    await page.unroute(page.url, delay_first_response)


async def test_send_button_stops_a_running_answer(page: Page, script: FakeProvider) -> None:
    question, send, stop = page.locator("#question"), page.locator("#send"), page.locator("#stop")
    script.script = ["So far", asyncio.Event()]
    await page.goto("/chat")
    await ask_in_browser(page, "Why?")
    await expect(send).to_be_hidden()
    await expect(page.get_by_role("status").filter(has_text="Answering")).to_have_count(1)
    await expect(page.locator("article").nth(1)).to_contain_text("So far")
    await ask_in_browser(page, "Second")
    await expect(page.locator("#refusal")).not_to_be_empty()
    await expect(question).to_have_value("Second")
    await stop.press("Enter")
    await expect(page.locator("article .badge")).to_be_visible()
    await expect(page.locator("article").nth(1)).to_contain_text("So far")
    await expect(page.locator("#refusal")).to_be_empty()
    await expect(question).to_have_value("Second")
    await expect(question).to_be_focused()
    await expect(page.get_by_role("status").filter(has_text="Answer ended")).to_have_count(1)
    await question.clear()
    await page.locator("[action$='/retry'] button").press("Enter")
    await expect(stop).to_be_visible()
    await expect(question).to_be_focused()
    await question.press("Escape")
    await expect(send).to_be_visible()
    await expect(page.locator("article .badge")).to_be_visible()
    edit, version = page.locator(".chat-edit summary"), page.locator(".chat-edit textarea")
    await edit.press("Enter")
    await expect(version).to_be_focused()
    await version.press("Escape")
    await expect(version).to_be_hidden()
    await expect(edit).to_be_focused()


async def test_copy_and_keyboard_navigation_between_branches(page: Page, script: FakeProvider) -> None:
    await copy_code_and_answer(page, script)
    rename, more = page.locator("#rename"), page.locator(".chat-menu summary")
    earlier, later = page.locator(".chat-branches [id$=-left]"), page.locator(".chat-branches [id$=-right]")
    await rename.press("Enter")
    await page.locator("#title [name=title]").fill("Reasons")
    await page.locator("#title [name=title]").press("Enter")
    await expect(page.get_by_role("heading", name="Reasons")).to_be_visible()
    await expect(page).to_have_title(re.compile("^Reasons · "))
    await expect(rename).to_be_focused()
    await page.locator(".chat-edit summary").press("Enter")
    await page.locator(".chat-edit textarea").fill("How?")
    await page.locator(".chat-edit .btn-primary").press("Enter")
    await expect(page.locator(".chat-question")).to_have_text(["How?"])
    for arrow, expected in ((earlier, "Why?"), (later, "How?")):
        await arrow.press("Enter")
        await expect(page.locator(".chat-question")).to_have_text([expected])
        await expect(arrow).to_be_focused()
    await page.get_by_label("Bad answer").press("Enter")
    await page.get_by_text("Say why").press("Enter")
    await page.get_by_label("Why, for the staff").press_sequentially("Short.")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Why: Short.")).to_be_focused()
    await more.press("Enter")
    await more.press("Tab")
    await expect(page.locator("[action$='/pin'] button")).to_be_focused()
    await page.locator("#question").focus()
    await expect(page.locator("[action$='/pin'] button")).to_be_hidden()


async def copy_code_and_answer(page: Page, script: FakeProvider) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = "".join(f"print({number}, 'is < many')\n" for number in range(60))  # sent in parts
    text = f"*So:*\n\n```python\n{code}```\n"
    script.script = [text]
    await page.goto("/chat")
    await ask_in_browser(page, "Why?")
    for label, copied in (("Copy the code", code), ("Copy the answer", text)):
        await page.get_by_label(label).click()
        await expect(page.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
        await page.wait_for_function("async (text) => (await navigator.clipboard.readText()) === text", arg=copied)


async def test_draft_is_kept_until_sending_or_signing_out(page: Page, script: FakeProvider) -> None:
    question = page.locator("#question")
    await page.goto("/chat")
    await question.fill("Two")
    await expect(page.get_by_text("Draft kept in this browser.")).to_be_visible()
    await question.dispatch_event("keydown", {"key": "Enter", "isComposing": True})  # selects a word of an input method
    await question.press("Shift+Enter")
    await page.keyboard.insert_text("lines")
    await page.goto("/chat")
    await expect(question).to_have_value("Two\nlines")
    await question.press("Enter")
    await expect(page.locator("article").nth(1)).to_contain_text("An answer.")
    await expect(question).to_have_value("")
    await question.fill("A secret")
    await expect(page.get_by_text("Draft kept in this browser.")).to_be_visible()
    conversation = page.url
    await page.goto("/chat")
    await expect(question).to_have_value("")
    await page.goto(conversation)
    await expect(question).to_have_value("A secret")
    await page.locator("#account").click()
    await page.locator("[action='/accounts/logout'] button").first.click()
    await page.wait_for_url("**/")
    assert await page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('draft:'))") == []


@pytest.mark.parametrize("is_new", [True, False])
async def test_question_survives_an_ended_session(
    page: Page, app: FastAPI, user: User, script: FakeProvider, is_new: bool
) -> None:
    path = "/chat" if is_new else f"/chat/{await make_conversation(app.state.database, user.id, 1)}"
    await page.goto(path)
    await page.context.clear_cookies()
    await page.locator("#question").fill("Two?")
    await expect(page.get_by_text("Draft kept in this browser.")).to_be_visible()
    await page.locator("#question").press("Enter")
    await page.wait_for_url("**/accounts/login?**")
    assert "Two?" in await page.evaluate("Object.values(localStorage).join()")
    await page.locator("[name=email]").fill(user.email)
    await page.locator("[name=password]").fill(PASSWORD)
    await page.locator("[name=password]").press("Enter")
    await expect(page.locator("#question")).to_have_value("Two?")
    await expect(page.locator("#kept-form")).to_be_visible()
    await expect(page.locator("article").filter(has_text="Two?")).to_have_count(0)


SPEED_UP_TIMEOUTS = """
  const later = setTimeout;
  window.setTimeout = ((run, wait, ...rest) => later(run, wait / 20, ...rest)).bind(null);
"""
"""Run delayed functions 20 times sooner. A clock of Playwright would apply to all later pages."""


async def test_markup_of_an_answer_is_harmless(page: Page, script: FakeProvider) -> None:
    table_headers = ("Walk", "Best at", "Bring", "Distance", "Height", "Rating", "Difficulty", "Footbridges")
    table = "\n".join(f"| {' | '.join(row)} |" for row in (table_headers, ["---"] * 8, ["Embankment promenade"] * 8))
    script.script = [
        "<img src=x onerror=alert(1)><scr",
        "ipt>alert(2)</script>\n\n",
        f"[link](javascript:alert(3)) ![i](https://evil.example/x.png)\n\n{table}",
    ]
    dialogs: list[str] = []
    requests: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    await page.add_init_script(SPEED_UP_TIMEOUTS)
    await page.set_viewport_size({"width": 390, "height": 780})
    await page.goto("/chat")
    await ask_in_browser(page, "Walks along the " + "Donaudampfschifffahrtsgesellschaft" * 2)
    await expect(page.locator("article").nth(1)).to_contain_text("<script>alert(2)</script>")
    assert await page.locator("article script, article img, article a[href^=javascript]").count() == 0
    assert dialogs == []
    assert not [url for url in requests if "evil" in url]

    await expect(page.locator("#stop")).to_be_hidden()
    requests.clear()
    # htmx reconnects after about 500 ms, 25 of them with faster timeouts, unless the stream has ended.
    await page.evaluate("new Promise((done) => setTimeout(done, 1500))")
    await page.evaluate("fetch('/chat/after-all').then(() => {})")
    # A page polls for the title independently.
    paths = [path for url in requests if "/chat" in (path := urlsplit(url).path)]
    assert [path for path in paths if not path.endswith("/title")] == ["/chat/after-all"]

    cell = page.get_by_role("cell", name="Embankment promenade").first
    count_lines = """cell => {
      const range = document.createRange()
      range.selectNodeContents(cell)
      return range.getClientRects().length
    }"""
    assert await cell.evaluate(count_lines) <= 2
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.goto("/chat/search?q=donau")
    await expect(page.get_by_role("link", name="Donaudampf").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def test_question_is_edited_with_the_keyboard(page: Page, app: FastAPI, user: User, script: FakeProvider) -> None:
    await page.goto(f"/chat/{await make_conversation(app.state.database, user.id, 1)}")
    edit, version = page.locator(".chat-edit summary").first, page.locator(".chat-edit textarea").first
    for key in ("Escape", ""):
        await edit.click()
        await version.fill("Another?")
        await (version.press(key) if key else page.get_by_role("button", name="Cancel").click())
        await expect(version).to_be_hidden()
        await edit.click()
        await expect(version).to_have_value("Question 0?")
        await edit.click()
    await edit.click()
    await version.fill("Better?")
    await version.press("Enter")
    await expect(page.locator(".chat-question")).to_have_text(["Better?"])


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.usefixtures("script")
async def test_head_stays_and_search_finds_while_typing(page: Page, app: FastAPI, user: User, width: int) -> None:
    conversation = await make_conversation(app.state.database, user.id, 12)
    await page.set_viewport_size({"width": width, "height": 700})
    await page.goto(f"/chat/{conversation}")
    await expect(page.locator(".chat-header h1")).to_be_in_viewport()
    await expect(page.locator(".chat-header .chat-options summary")).to_be_in_viewport()
    await expect(page.get_by_role("link", name="New conversation")).to_be_in_viewport()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.locator("#messages").evaluate("(element) => element.clientWidth") <= 720
    if width < 768:
        await page.locator("#chat-conversations").click()
    await page.locator("#chat-query").press_sequentially("Question")
    await expect(page.locator("#chat-results a").first).to_be_visible()
    await expect(page.locator(".chat-periods")).to_be_hidden()


async def test_growing_reasoning_is_collapsed(chat_page: Page, fake_llm: FakeProvider) -> None:
    writes, ends = asyncio.Event(), asyncio.Event()
    fake_llm.script = [Reasoning("Let me <b>think</b>."), writes, Reasoning(" Yes."), "Because", ends, "."]
    await ask_in_browser(chat_page, "Why?")
    label, thoughts = chat_page.get_by_text("Thinking…"), chat_page.locator(".answer-reasoning-text")
    await expect(label).to_be_visible()
    await expect(thoughts).to_be_hidden()
    await label.click()
    await expect(thoughts).to_have_text("Let me <b>think</b>.")
    writes.set()
    await expect(chat_page.locator("article").last).to_contain_text("Because")
    await expect(thoughts).to_have_text("Let me <b>think</b>. Yes.")
    await expect(thoughts).to_be_visible()
    await chat_page.reload()
    await expect(chat_page.get_by_text("Reasoning", exact=True)).to_be_visible()
    await chat_page.get_by_text("Reasoning", exact=True).click()
    await expect(thoughts).to_have_text("Let me <b>think</b>. Yes.")
    ends.set()
    await expect(chat_page.get_by_text("Reasoning, 7 tokens")).to_be_visible()
    await expect(thoughts).to_be_visible()


async def test_answer_without_reasoning_has_no_fold(chat_page: Page, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["Because."]
    await ask_in_browser(chat_page, "Why?")
    await expect(chat_page.locator("article").last).to_contain_text("Because.")
    await expect(chat_page.locator(".answer-reasoning")).to_be_hidden()
