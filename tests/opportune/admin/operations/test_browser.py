"""Operations as somebody without a shell uses them."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.data.backup.archive import open_archive
from opportune.testing.factories import PASSWORD, sign_in_browser

# A browser shows the same with both kinds.
pytestmark = pytest.mark.database("sqlite")


async def test_a_superuser_types_the_password_and_downloads_a_backup(
    app: FastAPI, page: Page, superuser: User, site: str, tmp_path: Path
) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/")
    await expect(page.get_by_role("img", name="Sign-ups by day: 1 from")).to_be_visible()
    await page.get_by_role("link", name="Operations").click()
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.get_by_role("button", name="Confirm").click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Make and download").click()
    await (await download.value).save_as(tmp_path / "backup.zip")
    with open_archive(tmp_path / "backup.zip") as archive:
        archive.check()
    await page.get_by_text("Sign everybody out", exact=True).click()
    await page.get_by_role("button", name="Yes, sign everybody out").click()
    await expect(page.get_by_text("Only this browser is signed in.")).to_be_visible()
