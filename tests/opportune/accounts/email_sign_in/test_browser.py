"""In by an e-mail that another browser has asked for, and by its code in the one that asked, without JavaScript."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.settings import Settings
from opportune.testing.factories import make_user
from opportune.testing.plugin import settings_for
from opportune.testing.services.accessibility import find_violations
from tests.opportune.accounts.email_sign_in.asked_emails import PATH, newest_code, newest_token
from tests.opportune.accounts.sent_emails import EMAIL, with_mail

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    plain = settings_for(database_url)
    return with_mail(plain, tmp_path / "mail").model_copy(update={"base_url": "", "allowed_hosts": []})


async def ask(page: Page) -> None:
    await page.goto("/accounts/login?next=/accounts/tokens")
    await page.get_by_label("E-mail", exact=True).fill(EMAIL)
    await page.get_by_role("button", name="E-mail me a link").click()
    await expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()


async def test_a_link_signs_in_one_browser_and_a_code_the_one_that_asked(
    app: FastAPI, page: Page, plain_page: Page, site: str
) -> None:
    await make_user(app.state.database, EMAIL, is_verified=True)
    await ask(plain_page)
    await page.goto(f"{PATH}/link?token={await newest_token(app)}")
    await expect(page.get_by_text("asked for in another browser")).to_be_visible()
    assert not await find_violations(page)
    await page.get_by_role("button", name="Yes, sign in here").click()
    await expect(page).to_have_url(f"{site}/accounts/tokens")

    await plain_page.get_by_role("button", name="Send another one").click()
    await plain_page.get_by_label("Code from the e-mail").fill(await newest_code(app))
    await plain_page.get_by_role("button", name="Sign in").click()
    await expect(plain_page).to_have_url(f"{site}/accounts/tokens")

    await page.context.clear_cookies()
    await ask(page)
    assert not await find_violations(page)
    await page.goto(PATH)
    assert not await find_violations(page)
