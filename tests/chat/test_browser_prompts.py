"""Prompts of the library in Chromium."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.contrib.assistants import Prompt
from opportune.testing import sign_in_browser
from opportune.testing.rows import Make


@pytest.fixture(autouse=True)
async def _signed_in(page: Page, app: FastAPI, user: User, site: str, make: Make) -> None:
    await make(Prompt, name="Letter", text="A {{tone:friendly|formal}} letter to {{name}}.", owner_id=user.id)
    await make(Prompt, name="Poem", text="Rhyme about tea.", owner_id=user.id)
    await sign_in_browser(page, app, user, site)
    await page.goto("/chat")


async def test_slash_inserts_a_prompt(page: Page) -> None:
    question, panel = page.locator("#question"), page.locator("#prompts")
    await question.press("/")
    await expect(panel.locator("#prompt-search")).to_be_focused()
    await panel.locator("#prompt-search").fill("lett")
    await expect(panel.get_by_text("Poem")).to_have_count(0)
    await panel.get_by_text("Letter").click()
    await panel.locator("[name=variable_0]").select_option("formal")
    await panel.locator("[name=variable_1]").fill("Ada")
    await panel.locator("button.btn-primary").click()
    await expect(question).to_have_value("A formal letter to Ada.")
    await expect(question).to_be_focused()
    await expect(panel).to_be_empty()


async def test_escape_closes_the_prompts(page: Page) -> None:
    question, panel = page.locator("#question"), page.locator("#prompts")
    await page.locator("#prompts-open").click()
    await panel.locator("#prompt-search").press("Escape")
    await expect(panel).to_be_empty()
    await expect(question).to_be_focused()
