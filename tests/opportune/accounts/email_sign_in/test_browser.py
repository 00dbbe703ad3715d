"""The page that a link of an e-mail leads to, for everybody: what it does is asked without a browser."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.settings import Settings
from opportune.testing.factories import make_user
from opportune.testing.plugin import settings_for
from opportune.testing.services.accessibility import find_violations
from tests.opportune.accounts.email_sign_in.asked_emails import PATH, ask, browser, newest_token
from tests.opportune.accounts.sent_emails import EMAIL, with_mail

pytestmark = pytest.mark.database("sqlite")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    plain = settings_for(database_url)
    return with_mail(plain, tmp_path / "mail").model_copy(update={"base_url": "", "allowed_hosts": []})


async def test_everybody_can_use_the_page_of_a_link_that_is_opened_in_another_browser(app: FastAPI, page: Page) -> None:
    await make_user(app.state.database, EMAIL, is_verified=True)
    async with browser(app) as elsewhere:
        await ask(elsewhere)
    await page.goto(f"{PATH}/link?token={await newest_token(app)}")
    await expect(page.get_by_text("asked for in another browser")).to_be_visible()
    assert not await find_violations(page)
