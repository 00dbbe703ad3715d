"""The setup page under the content security policy of a browser."""

from fastapi import FastAPI
from playwright.async_api import Page
from sqlalchemy import update

from opportune.accounts.models import Session
from opportune.db.models.model import utc_now
from opportune.testing.factories import make_user, sign_in_browser
from opportune.testing.services.accessibility import find_violations


async def test_qr_code_is_allowed_by_the_policy(app: FastAPI, page: Page, site: str) -> None:
    await sign_in_browser(page, app, await make_user(app.state.database), site)
    async with app.state.database.writer() as session:  # the password was typed a moment ago
        await session.execute(update(Session).values(confirmed_at=utc_now()))
    await page.goto("/accounts/two-factor")
    await page.get_by_role("button", name="Set up").click()
    assert await page.get_by_alt_text("The key as a QR code").evaluate("image => image.naturalWidth") > 100
    assert not await find_violations(page)
