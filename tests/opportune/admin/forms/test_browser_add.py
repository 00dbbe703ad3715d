"""The "+" button of pickers creates a row in a dialog and selects it."""

from playwright.async_api import Page, expect

from opportune.testing.services.accessibility import find_violations
from tests.opportune.admin.novel_feature import make_genres, novels
from tests.opportune.site_with import site_fixture

app = site_fixture(novels, make_genres)


async def test_picker_adds_rows_in_nested_dialogs(page: Page) -> None:
    """A new row replaces the selection of a picker for one row."""
    await page.goto("/admin/copy/create?novel_id=1")
    await page.get_by_role("link", name="Add Novel").click()
    dialog = page.get_by_role("dialog", name="Add Novel")
    dialog_frame = dialog.frame_locator("iframe")
    await dialog_frame.get_by_label("Title").press("Escape")
    await expect(dialog).to_be_hidden()
    await page.get_by_role("link", name="Add Novel").click()
    await dialog_frame.get_by_label("Title").fill("Emma")
    await dialog_frame.get_by_role("link", name="Add Genre").click()
    nested_frame = dialog_frame.frame_locator("iframe")
    await nested_frame.get_by_label("Name").fill("Crime")
    await nested_frame.get_by_role("button", name="Save").click()
    await expect(nested_frame.get_by_text("This value is already in use.")).to_be_visible()
    assert not await find_violations(page)
    await nested_frame.get_by_label("Name").fill("Space & <Opera>")
    await nested_frame.get_by_role("button", name="Save").click()
    await expect(dialog_frame.get_by_role("listitem").filter(has_text="Space & <Opera>")).to_be_visible()
    await dialog_frame.get_by_role("button", name="Save").click()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("combobox", name="Novel")).to_have_value("Emma")
