"""The real local model in Chromium: question, reload and stop."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.contrib import llm
from opportune.testing import sign_in_browser
from opportune.testing.services.missing_programs import INSTALL_MODEL, skip_for_missing
from tests.opportune.contrib.answers.question_page import app

__all__ = ["app"]  # a fixture

# The scripted tests cover both databases.
pytestmark = pytest.mark.model

LONG_ENOUGH = 60_000
"""Timeout in milliseconds for a complete answer of a small model on a busy machine."""


@pytest.fixture
async def real_model(app: FastAPI) -> AsyncIterator[None]:
    model = llm.make_provider(Settings(_env_file=None, environment="development"))
    if model is None:
        skip_for_missing("The local model", INSTALL_MODEL)
    app.state.llm.provider = model
    yield
    await app.state.answers.close()
    await model.close()


async def test_real_model_answer_survives_reload(
    page: Page, app: FastAPI, site: str, user: User, real_model: None
) -> None:
    await sign_in_browser(page, app, user, site)
    await page.goto("/waves")
    await page.get_by_label("Your question").fill("Tell a very long story about a lighthouse.")
    await page.get_by_label("Your question").press("Enter")
    answer = page.get_by_role("article", name="Answer")
    await expect(answer.locator("p").first).not_to_be_empty(timeout=LONG_ENOUGH)
    before = await answer.locator("p").first.inner_text()
    await page.reload()
    await expect(answer).to_contain_text(before.split(".")[0][:40])
    await page.get_by_role("button", name="Stop").click()  # the model would write a thousand tokens
    await expect(answer.get_by_text("Stopped")).to_be_visible(timeout=LONG_ENOUGH)
    words = (await answer.locator("p").first.inner_text()).strip()
    assert words.count(words[:40]) == 1
