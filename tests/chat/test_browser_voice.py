"""Spoken questions, answers read aloud and pictures in the chat, in Chromium with a simulated microphone."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.answers.lifespan import offer_pictures
from opportune.contrib.llm import Done, FakeMedia, FakeProvider, LlmError
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.testing import picture, sign_in_browser
from opportune.testing.services.accessibility import find_violations
from opportune.testing.services.browser import ARGUMENTS, CHROMIUM
from tests.chat.conversations import ask_in_browser

MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SPEAK, STATUS = "[data-transcribe]", "#question-voice"
REQUEST = Done(tool_calls=(ToolCall("c1", "make_image", '{"description": "A teal square"}'),))


@pytest.fixture
def media(app: FastAPI, fake_llm: FakeProvider) -> FakeMedia:
    app.state.llm.media.provider = media = FakeMedia(picture=picture((400, 300)), transcript="Why is the sky blue?")
    return media


@pytest.fixture
async def speaker(page: Page, app: FastAPI, site: str, user: User, media: FakeMedia) -> AsyncIterator[Page]:
    """The chat in a browser with a microphone."""
    assert page.context.browser
    type_ = page.context.browser.browser_type
    browser = await type_.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *MICROPHONE])
    speaker = await (await browser.new_context(base_url=site)).new_page()
    await sign_in_browser(speaker, app, user, site)
    await speaker.goto("/chat")
    await speaker.locator("#question").fill("So:")
    yield speaker
    await browser.close()


async def record(page: Page) -> None:
    await page.locator(SPEAK).click()
    await expect(page.locator(SPEAK)).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(STATUS)).not_to_be_empty()
    await page.locator(SPEAK).click()


async def test_spoken_question_appears_in_the_field(speaker: Page, media: FakeMedia) -> None:
    await record(speaker)
    await expect(speaker.locator("#question")).to_have_value("So: Why is the sky blue?")
    recording = media.received[0]
    assert isinstance(recording, bytes)
    assert recording[:4] == b"\x1aE\xdf\xa3", "a WebM file"
    assert not await find_violations(speaker)


async def test_failed_recording_keeps_the_field(speaker: Page, media: FakeMedia) -> None:
    media.error = LlmError("timeout", "The model took too long.")
    await record(speaker)
    await expect(speaker.locator(STATUS)).to_have_text("The model took too long.")
    await expect(speaker.locator("#question")).to_have_value("So:")


async def test_only_the_chat_may_use_the_microphone(
    page: Page, plain_page: Page, app: FastAPI, site: str, user: User, media: FakeMedia
) -> None:
    async def policy(page: Page, path: str) -> str:
        response = await page.goto(path)
        assert response
        return response.headers["permissions-policy"]

    for visited in (page, plain_page):
        await sign_in_browser(visited, app, user, site)
    assert "microphone=()" in await policy(page, "/")
    assert "microphone=(self)" in await policy(page, "/chat")
    await page.locator(SPEAK).click()
    await expect(page.locator(STATUS)).to_contain_text("microphone")  # this browser has none
    await plain_page.goto("/chat")
    await expect(plain_page.locator(SPEAK)).to_be_hidden()
    app.state.llm.media.provider = None
    assert "microphone=()" in await policy(page, "/chat")
    await expect(page.locator(SPEAK)).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
async def test_answer_has_a_picture_and_is_read_aloud(
    page: Page, app: FastAPI, site: str, user: User, media: FakeMedia, fake_llm: FakeProvider, width: int
) -> None:
    offer_pictures(app)
    fake_llm.script, fake_llm.next_scripts = [REQUEST], [["Here it is."]]
    await page.set_viewport_size({"width": width, "height": 800})
    await sign_in_browser(page, app, user, site)
    await page.goto("/chat")
    await ask_in_browser(page, "Draw a square")
    shown = page.get_by_role("img", name="A teal square")
    await expect(shown).to_have_js_property("naturalWidth", 400)
    await page.reload()
    await expect(shown).to_be_visible()
    await page.locator("[action$='/speech'] button").click()
    await expect(page.locator("audio")).to_be_visible()
    assert media.received == ["A teal square", "Here it is."]
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert not await find_violations(page)
