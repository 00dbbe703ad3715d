"""From a new site to a superuser with a second factor, in a browser that holds the pages to their policy."""

import pyotp
import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.setup.invitation import send_invitation
from opportune.testing.factories import PASSWORD
from opportune.testing.services.accessibility import find_violations

pytestmark = pytest.mark.database("sqlite")

EMAIL = "ada@example.com"


async def test_the_first_superuser_sets_up_a_second_factor_and_signs_in_with_it(
    app: FastAPI, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    await send_invitation(app)
    await page.goto("/accounts/setup" + caplog.records[-1].getMessage().rpartition("/accounts/setup")[2])
    assert not await find_violations(page)
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Become superuser").click()
    await page.wait_for_url("**/admin/")

    await page.goto("/accounts/two-factor")  # which asks for no password: it was chosen a moment ago
    await page.get_by_role("button", name="Set up").click()
    assert await page.get_by_alt_text("The key as a QR code").evaluate("image => image.naturalWidth") > 100
    assert not await find_violations(page)
    key = (await page.locator("main code").inner_text()).replace(" ", "")
    await page.get_by_label("Code that the app shows").fill(pyotp.TOTP(key).now())
    await page.get_by_role("button", name="Turn on").click()
    assert not await find_violations(page)
    recovery_code = await page.locator("main code").first.inner_text()
    await page.get_by_role("link", name="I have kept them").click()
    await expect(page.get_by_text("You have 10 recovery codes left")).to_be_visible()

    await page.context.clear_cookies()
    await page.goto("/accounts/login?next=/accounts/two-factor")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("main").get_by_role("button", name="Sign in").click()
    assert not await find_violations(page)
    await page.locator("main [name=code]").fill(recovery_code)
    await page.locator("main [name=code]").press("Enter")
    await expect(page.get_by_text("You have 9 recovery codes left")).to_be_visible()
