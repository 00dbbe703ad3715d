"""A visitor in Chromium on a site whose addresses have a language."""

import re

import pytest
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.testing.factories import PASSWORD


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"languages": ["en", "de"], "language": "en", "language_in_url": True})


async def test_visitor_stays_in_language_of_address(page: Page, site: str, user: User) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    await page.goto("/de/accounts/profile")
    await page.get_by_role("button", name="Anzeigen Passwort").click()  # made by a script
    await page.get_by_label("E-Mail").fill(user.email)
    await page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    await page.locator("main form button.btn-primary").first.click()
    await expect(page).to_have_url(f"{site}/de/accounts/profile")
    await page.get_by_label(re.compile("^Sprache")).click()
    await page.get_by_role("link", name="English").click()
    await expect(page).to_have_url(f"{site}/accounts/profile")
    assert errors == []
