"""Registration in Chromium, from the list of events."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from opportune.config.site_settings import DEFAULT_MAX_UPLOAD_BYTES
from opportune.db import Database
from opportune.testing import RecordedJobs
from opportune.web.forms.uploads import too_large_message
from tests.events.conftest import MakeEvent, make_picture, read_registrations


async def test_visitor_finds_event_and_registers(
    page: Page, recorded_jobs: RecordedJobs, database: Database, make_event: MakeEvent, tmp_path: Path
) -> None:
    texts = {"place": "P" * 150, "summary": "S" * 200, "description": "```python\nimport tea\n```"}
    await make_event("tea", title="Tea for all", capacity=3, **texts)
    await make_event("soup")
    good, bad = tmp_path / "me.jpg", tmp_path / "page.jpg"
    good.write_bytes(make_picture())
    bad.write_bytes(b"<!doctype html>")

    await page.goto("/events")
    await page.locator("main [name=q]").fill("tea")
    await expect(page.get_by_text("Soup")).to_have_count(0)
    await page.get_by_role("link", name="Tea for all").click()
    await expect(page.locator(".markdown pre")).to_have_text("import tea")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "texts without a blank break"

    await page.locator("[name=name]").fill("Ada")
    await page.locator("main [name=email]").fill("ada@example.com")
    await page.locator("[name=photo]").set_input_files(bad)
    register = page.locator("form:has([name=photo]) button.btn-primary")
    await register.click()
    await expect(page.locator("#photo-error")).to_be_visible()
    await expect(page.locator("[name=name]")).to_have_value("Ada")

    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(DEFAULT_MAX_UPLOAD_BYTES + 1)
    await page.locator("[name=photo]").set_input_files(huge)
    assert await page.locator("[name=photo]").evaluate("field => field.validationMessage") == too_large_message()

    await page.locator("[name=photo]").set_input_files(good)
    await register.click()
    await expect(page).to_have_url(re.compile("/events/tea/registered$"))
    await recorded_jobs.work()
    assert [registration.photo[-5:] for registration in await read_registrations(database)] == [".webp"]
