import asyncio
import json
import re

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.testing.factories import PASSWORD, make_user, sign_in_browser
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.accounts.recorded_emails import recorded, settings, told

__all__ = ["recorded", "settings"]  # fixtures

NEW = "another good password"


@pytest.mark.database("sqlite")
async def test_somebody_without_javascript_looks_after_an_account_until_leaving_it(
    plain_page: Page, app: FastAPI, site: str, recorded: RecordedJobs
) -> None:
    user = await make_user(app.state.database, "ada@example.com")
    await sign_in_browser(plain_page, app, user, site)
    await give_a_name(plain_page)
    await change_the_email(plain_page, recorded)
    await change_the_password(plain_page)
    await make_and_end_a_token(plain_page)
    await take_the_data_along(plain_page)
    await leave(plain_page)
    assert [subject for _, subject in told(recorded)] == [
        "Is this your new e-mail address?",
        "Your e-mail address was changed",
        "Your password was changed",
        "New API token: Script",
        "Your account is deleted",
    ]


async def give_a_name(page: Page) -> None:
    await page.goto("/accounts/profile")
    await page.get_by_label("Name").fill("Ada Lovelace")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("button", name="Account")).to_contain_text("Ada Lovelace")


async def change_the_email(page: Page, recorded: RecordedJobs) -> None:
    await page.get_by_label("New e-mail").fill("new@example.com")
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_role("button", name="Change e-mail").click()
    await expect(page.get_by_role("status")).to_contain_text("We have written to the new address.")
    link = re.search(r"/accounts/change-email\?token=\S+", recorded.outbox[-1].text)
    assert link
    await page.goto(link[0])
    await page.get_by_role("button", name="Change e-mail").click()
    await expect(page.get_by_text("Verified", exact=True)).to_be_visible()


async def change_the_password(page: Page) -> None:
    """Without the old one, which was typed just now."""
    await page.get_by_role("link", name="Password").click()
    await page.get_by_label("New password").fill(NEW)
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_role("status")).to_contain_text("Your password is changed.")


async def make_and_end_a_token(page: Page) -> None:
    """No button does nothing: there is none that shows a password or copies what needs a script."""
    await page.get_by_role("link", name="API tokens").click()
    await page.get_by_label("Name").fill("Script")
    await page.get_by_label("Ends after").select_option("A year")
    await page.get_by_label("Current password").fill(NEW)
    await page.get_by_role("button", name="Make token").click()
    await expect(page.get_by_label("Your new token")).to_contain_text("opp_")
    await expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    await expect(page.get_by_role("button", name="Show")).to_have_count(0)
    await page.get_by_role("button", name="Revoke Script").click()
    await expect(page.get_by_role("status")).to_contain_text("The token has ended.")


async def take_the_data_along(page: Page) -> None:
    await page.get_by_role("link", name="Your data").click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    file = await (await download.value).path()
    (account,) = json.loads(await asyncio.to_thread(file.read_bytes))["accounts"]["account"]
    assert account["display_name"] == "Ada Lovelace"


async def leave(page: Page) -> None:
    await page.get_by_label("Your e-mail address").fill("new@example.com")
    await page.get_by_role("button", name="Delete my account").click()
    await expect(page.get_by_role("heading")).to_have_text("Your account is deleted")
    await page.goto("/accounts/profile")
    await page.wait_for_url("**/accounts/login**")
