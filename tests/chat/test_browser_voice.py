"""Spoken questions, answers read aloud and pictures in the chat, in Chromium with a simulated microphone."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.llm import FakeMedia, FakeProvider
from opportune.testing import picture, sign_in_browser
from opportune.testing.services.accessibility import find_violations
from opportune.testing.services.browser import ARGUMENTS, CHROMIUM

MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SPEAK, STATUS = "[data-transcribe]", "#question-voice"


@pytest.fixture
def media(app: FastAPI, fake_llm: FakeProvider) -> FakeMedia:
    app.state.llm.media.provider = media = FakeMedia(picture=picture((400, 300)), transcript="Why is the sky blue?")
    return media


@pytest.fixture
async def speaker(page: Page, app: FastAPI, site: str, user: User, media: FakeMedia) -> AsyncIterator[Page]:
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
