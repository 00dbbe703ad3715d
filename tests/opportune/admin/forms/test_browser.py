"""Forms and keyboard shortcuts of the admin in a browser."""

from pathlib import Path

from playwright.async_api import Dialog, Page, expect

from opportune.testing import picture
from tests.opportune.admin.shelf_feature import Book, Shelf, shelves
from tests.opportune.site_with import site_fixture

app = site_fixture(
    shelves,
    lambda: [
        Shelf(id=1, title="Poems", price=1),
        Shelf(id=2, title="Plays", price=2),
        Book(shelf_id=1, title="Sonnets"),
    ],
)


async def test_image_upload_and_size_limit_in_a_browser(page: Page, tmp_path: Path) -> None:
    plan = tmp_path / "plan.txt"
    with plan.open("wb") as file:
        file.truncate(10_000_001)
    await page.goto("/admin/shelf/create")
    await page.get_by_label("Title").fill("Çay & Kek")
    await page.get_by_label("Photo").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": picture()})
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("status")).to_contain_text("“Çay & Kek” was saved.")
    await page.goto("/admin/shelf/details/3")
    image = page.locator("img.stored")
    await expect(image).to_be_visible()
    await expect(image).to_have_js_property("naturalWidth", 20)
    await page.keyboard.press("e")
    await page.get_by_label("Plan").set_input_files(plan)
    await expect(page.get_by_role("alert")).to_contain_text("at most 10 MB")


async def test_unsaved_changes_and_keyboard_shortcuts(page: Page) -> None:
    await page.goto("/admin/shelf/edit/1")
    await page.get_by_label("Title").fill("Sonnets")
    dialogs: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        await dialog.dismiss()

    page.on("dialog", dismiss)
    async with page.expect_event("dialog"):
        await page.get_by_role("link", name="Cancel").click(no_wait_after=True)
    await expect(page.get_by_label("Title")).to_have_value("Sonnets")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("“Sonnets” was saved.")
    assert dialogs == ["beforeunload"], "saving shows no warning"
    await check_keyboard_shortcuts(page)


async def check_keyboard_shortcuts(page: Page) -> None:
    await page.set_viewport_size({"width": 1200, "height": 560})
    await page.reload()
    menu = page.get_by_role("navigation", name="Admin")
    await expect(menu.get_by_role("link", name="Shelves")).to_be_in_viewport(ratio=0.9)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    await page.keyboard.press("?")
    shortcut_help = page.get_by_role("dialog", name="Keys")
    await expect(shortcut_help).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(shortcut_help).to_be_hidden()
    await page.keyboard.press("/")
    await page.keyboard.type("n?")
    await expect(page.get_by_role("searchbox", name="Search")).to_have_value("n?")
    await page.keyboard.press("Escape")
    await page.keyboard.press("m")
    await page.keyboard.type("boo")
    await expect(menu.get_by_role("link", name="Books")).to_be_visible()
    await expect(menu.get_by_role("link", name="Users")).to_be_hidden()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Books", level=1)).to_be_visible()
    await page.keyboard.press("n")
    await expect(page.get_by_role("heading", name="Add Book")).to_be_visible()
