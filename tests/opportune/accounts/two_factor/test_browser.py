"""The pages of setting up, in a browser that holds them to their policy; what they do is asked without one."""

import pyotp
import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.setup.invitation import send_invitation
from opportune.testing.factories import PASSWORD
from opportune.testing.services.accessibility import find_violations

pytestmark = pytest.mark.database("sqlite")


async def test_the_first_superuser_sets_up_a_second_factor_by_its_picture_and_is_asked_for_a_code(
    app: FastAPI, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    await send_invitation(app)
    await page.goto("/accounts/setup" + caplog.records[-1].getMessage().rpartition("/accounts/setup")[2])
    await page.get_by_label("E-mail").fill("ada@example.com")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Become superuser").click(no_wait_after=True)
    await page.wait_for_url("**/admin/", wait_until="commit")

    await page.goto("/accounts/two-factor")  # which asks for no password: it was chosen a moment ago
    await page.get_by_role("button", name="Set up").click()
    assert await page.get_by_alt_text("The key as a QR code").evaluate("image => image.naturalWidth") > 100
    assert not await find_violations(page)
    key = (await page.locator("main code").inner_text()).replace(" ", "")
    await page.get_by_label("Code that the app shows").fill(pyotp.TOTP(key).now())
    await page.get_by_role("button", name="Turn on").click()
    await expect(page.get_by_role("link", name="I have kept them")).to_be_visible()

    await page.context.clear_cookies()
    await page.goto("/accounts/login")
    await page.get_by_label("E-mail").fill("ada@example.com")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.locator("main").get_by_role("button", name="Sign in").click()
    await expect(page.locator("main [name=code]")).to_be_visible()
