"""Import in a browser: fields change the first rows, and the progress ends by itself."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.contrib.import_export import import_view
from opportune.testing.factories import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.opportune.contrib.import_export.test_import import IMPORT


async def test_steps_of_an_import(
    app: FastAPI,
    page: Page,
    superuser: User,
    site: str,
    running_jobs: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(import_view, "LARGE_FILE_ROWS", 1)
    await sign_in_browser(page, app, superuser, site)
    await page.goto(IMPORT)
    assert await find_violations(page) == []
    path = tmp_path / "a.csv"
    path.write_text("name;maker;made_on\nfirst;Acme;03/04/2026\n")
    await page.get_by_label("File").set_input_files(path)
    await page.get_by_role("button", name="Continue").click()
    rows = page.get_by_role("region", name="Rows")
    await expect(rows).to_contain_text("4 Mar 2026")
    await page.wait_for_load_state()  # htmx only reacts to changes after the page was loaded
    await page.get_by_label("Format of made_on").select_option("dMy")
    await expect(rows).to_contain_text("3 Apr 2026")
    await expect(page.get_by_role("heading", name="Import Gadgets")).to_be_visible()
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Check all rows").click()
    await expect(page.locator("#import")).to_contain_text("a.csv adds 1 Gadget.")
    assert await find_violations(page) == []
    await page.get_by_role("button", name="Import 1 Gadget").click()
    await expect(page.locator("#import")).to_contain_text("Imported 1 Gadget.")
    await expect(page.get_by_role("heading", name="Import Gadgets")).to_be_visible()
    assert await find_violations(page) == []
