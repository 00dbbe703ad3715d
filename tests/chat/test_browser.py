"""The chat in Chromium."""

import asyncio
import re
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.testing import PASSWORD, sign_in_browser
from tests.chat.conversations import ask_in_browser, make_conversation


@pytest.fixture
async def script(app: FastAPI, page: Page, site: str, user: User, fake_llm: FakeProvider) -> FakeProvider:
    await sign_in_browser(page, app, user, site)
    fake_llm.script = ["An answer."]
    return fake_llm


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


async def test_question_survives_an_ended_session(page: Page, app: FastAPI, user: User, script: FakeProvider) -> None:
    await page.goto(f"/chat/{await make_conversation(app.state.database, user.id, 1)}")
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
    script.script = [
        "<img src=x onerror=alert(1)><scr",
        "ipt>alert(2)</script>\n\n",
        "[link](javascript:alert(3)) ![i](https://evil.example/x.png)",
    ]
    dialogs: list[str] = []
    requests: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    await page.add_init_script(SPEED_UP_TIMEOUTS)
    await page.goto("/chat")
    await ask_in_browser(page, "Why?")
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


async def test_long_paste_into_the_composer_stays_whole(chat_page: Page) -> None:
    composer = chat_page.locator("main textarea[name=content]")
    length = int(await composer.get_attribute("data-maxlength") or 0) + 9
    await composer.focus()
    await chat_page.keyboard.insert_text("€" * length)
    await expect(composer).to_have_value("€" * length)
    assert "please shorten it" in await composer.evaluate("field => field.validationMessage")
