"""Registration and secrets in a browser."""

from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import select

from opportune.accounts.models import User
from opportune.testing.factories import PASSWORD, make_user, sign_in_browser


async def register(page: Page, email: str) -> None:
    await page.goto("/accounts/register")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    await page.get_by_role("button", name="Register", exact=True).click()


async def test_internationalised_addresses_are_accepted(app: FastAPI, page: Page, site: str) -> None:
    await register(page, email := "grüße@bücher.example")
    await expect(page).not_to_have_url(f"{site}/accounts/register")
    async with app.state.database.reader() as session:
        assert (await session.scalars(select(User.email))).all() == [email]  # type: ignore[call-overload]  # a column


async def test_password_is_shown_and_token_is_copied(app: FastAPI, page: Page, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database), site)
    await page.goto("/accounts/tokens")
    password = page.get_by_label("Current password")
    show_button = page.get_by_role("button", name="Show Current password")
    await password.fill(PASSWORD)
    await expect(password).to_have_attribute("type", "password")
    await expect(show_button).to_have_attribute("aria-pressed", "false")
    await show_button.click()
    await expect(password).to_have_attribute("type", "text")
    await expect(show_button).to_have_attribute("aria-pressed", "true")
    await expect(password).to_have_attribute("autocomplete", "current-password")
    await page.get_by_label("Name").fill("Script")
    await page.evaluate("addEventListener('submit', (event) => event.preventDefault(), { once: true })")
    await page.get_by_role("button", name="Create token").click()
    await expect(password).to_have_attribute("type", "password")
    await page.get_by_role("button", name="Create token").click()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy the token").click()
    await expect(page.get_by_role("status").and_(page.get_by_text("Copied"))).to_be_attached()
    assert await page.evaluate("navigator.clipboard.readText()") == await page.locator("copy-secret code").inner_text()
