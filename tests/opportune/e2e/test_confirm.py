"""The dialog that asks before a request is sent."""

from playwright.async_api import Page, expect

from opportune.testing.services.accessibility import find_violations
from tests.opportune.e2e.note_page import app, titles

__all__ = ["app"]  # a fixture


async def test_confirmation_is_a_dialog(page: Page) -> None:
    titles.append("Milk")
    await page.goto("/notes")
    delete, dialog = page.get_by_role("button", name="Delete all"), page.get_by_role("dialog")
    await delete.click()
    await expect(dialog).to_have_accessible_name("Delete all notes?")
    assert not await find_violations(page)
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(delete).to_be_focused()
    await delete.click()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    assert titles == ["Milk"]
    await delete.click()
    await dialog.get_by_role("button", name="Yes").click()
    await expect(page.get_by_text("Milk")).to_be_hidden()
    assert titles == []
