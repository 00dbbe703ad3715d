"""Passkeys in Chromium with its virtual authenticator, at the host `localhost`."""

from datetime import timedelta

from fastapi import FastAPI
from playwright.async_api import Browser, Page, expect
from sqlalchemy import update

from opportune.accounts.models import Session, User
from opportune.db import Database, utc_now
from opportune.testing.factories import make_user, sign_in_browser
from opportune.testing.services.accessibility import find_violations
from opportune.testing.services.browser import MAX_WAIT_MS

EMAIL = "ada@example.com"


async def test_passkey_is_added_signs_in_and_confirms(chromium: Browser, app: FastAPI, site: str) -> None:
    user = await make_user(app.state.database, EMAIL, is_verified=True)
    address = site.replace("127.0.0.1", "localhost")
    async with await chromium.new_context(base_url=address) as context:
        page = await context.new_page()
        page.set_default_timeout(MAX_WAIT_MS)
        await plug_in_device(page)
        await sign_in_browser(page, app, user, address)
        async with app.state.database.writer() as session:  # the password was typed a moment ago
            await session.execute(update(Session).values(confirmed_at=utc_now()))
        await explain_other_host(page, app)
        await add_passkey(page)
        await sign_in_by_autofill(page)
        await sign_in_by_button(page)
        await confirm_in_a_form(page)
        await confirm_without_a_password(page, app.state.database)


async def plug_in_device(page: Page) -> None:
    """Add Chromium's virtual authenticator with user verification."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable", {"enableUI": False})
    options = {"protocol": "ctap2", "transport": "internal", "automaticPresenceSimulation": True}
    abilities = dict.fromkeys(("hasResidentKey", "hasUserVerification", "isUserVerified"), True)
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, **abilities}})


async def explain_other_host(page: Page, app: FastAPI) -> None:
    settings = app.state.settings
    app.state.settings = settings.model_copy(update={"base_url": "https://shop.example"})
    await page.goto("/accounts/passkeys/add")
    await expect(page.get_by_role("alert")).to_contain_text("open this site at its usual address")
    await expect(page.get_by_role("button", name="Add passkey")).to_be_hidden()
    app.state.settings = settings


async def add_passkey(page: Page) -> None:
    await page.goto("/accounts/passkeys/add")
    await page.get_by_label("Name").fill("My phone")
    await page.get_by_role("button", name="Add passkey").click()
    await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()


async def sign_in_by_autofill(page: Page) -> None:
    """Sign in without a click, because the page waits for a passkey."""
    await page.context.clear_cookies()
    await page.goto("/accounts/login?next=/accounts/passkeys")
    await expect(page.get_by_role("button", name="Remove My phone")).to_be_visible()
    assert not await find_violations(page)  # the list is not empty


async def sign_in_by_button(page: Page) -> None:
    await page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")  # no autofill
    await page.context.clear_cookies()
    await page.goto("/accounts/login?next=/accounts/profile")
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await page.wait_for_url("**/accounts/profile")


async def confirm_in_a_form(page: Page) -> None:
    await page.get_by_label("New e-mail").fill("new@example.com")
    await page.get_by_role("button", name="Confirm by a passkey").first.click()
    await expect(page.get_by_role("status")).to_contain_text("We have sent an e-mail to the new address.")


async def confirm_without_a_password(page: Page, database: Database) -> None:
    """Confirm on a page without another submit button."""
    long_ago = utc_now() - timedelta(hours=1)
    async with database.writer() as session:
        await session.execute(update(User).values(hashed_password=""))
        await session.execute(update(Session).values(confirmed_at=None, created_at=long_ago))
    await page.goto("/accounts/passkeys/add")
    await page.get_by_role("button", name="Confirm by a passkey").click()
    await expect(page.get_by_role("button", name="Add passkey")).to_be_visible()
