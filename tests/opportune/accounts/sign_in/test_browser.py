"""From nobody to somebody with an account, and back in without the password."""

import time
from pathlib import Path

import pyotp
import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select

from opportune.accounts.models import User
from opportune.accounts.two_factor import totp
from opportune.settings import Settings
from opportune.testing.factories import PASSWORD
from opportune.testing.plugin import settings_for
from tests.opportune.accounts.sent_emails import newest_link, with_mail

pytestmark = pytest.mark.database("sqlite")

EMAIL = "ada@example.com"
NEW = "another good password"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    plain = settings_for(database_url)
    return with_mail(plain, tmp_path / "mail").model_copy(update={"base_url": "", "allowed_hosts": []})


async def test_somebody_without_javascript_registers_signs_in_and_forgets_the_password(
    plain_page: Page, app: FastAPI, site: str
) -> None:
    page = plain_page
    await register(page, app)
    await sign_in(page, PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{site}/accounts/tokens")
    await page.context.clear_cookies()
    await forget_the_password(page, app)
    await sign_in(page, NEW)
    key = await turn_on_second_factor(app)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Code of your app").fill(pyotp.TOTP(key).at(time.time() + 30))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{site}/accounts/tokens")


async def register(page: Page, app: FastAPI) -> None:
    await page.goto("/accounts/register")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("main").get_by_role("button", name="Register").click()
    await expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
    await follow_the_link(page, app)
    await page.get_by_label("The password that you chose here").fill(PASSWORD)
    await page.get_by_role("button", name="Yes, this is my address").click()
    await expect(page.get_by_role("status")).to_contain_text("You can sign in now.")


async def sign_in(page: Page, password: str) -> None:
    """Up to the last click."""
    await page.goto("/accounts/login?next=/accounts/tokens")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(password)
    await page.get_by_label("Remember me").check()


async def forget_the_password(page: Page, app: FastAPI) -> None:
    await page.goto("/accounts/login")
    await page.get_by_role("link", name="Forgot your password?").click()
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_role("button", name="Send the link").click()
    await follow_the_link(page, app)
    await page.get_by_label("New password").fill(NEW)
    await page.get_by_role("button", name="Save the password").click()
    await expect(page.get_by_role("status")).to_contain_text("You have a new password.")


async def turn_on_second_factor(app: FastAPI) -> str:
    async with app.state.database.writer() as session:
        user = (await session.scalars(select(User))).one()
        key = totp.start_setup(app.state.settings, user).key
        assert await totp.enable(session, app.state.settings, user, key, pyotp.TOTP(key).now())
    return key


async def follow_the_link(page: Page, app: FastAPI) -> None:
    path, token = await newest_link(app)
    await page.goto(f"{path}?token={token}")
