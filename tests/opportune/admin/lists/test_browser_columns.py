"""Control for the columns of a list in a browser, with and without JavaScript."""

from playwright.async_api import Page, expect

from tests.opportune.admin.gadget_feature import Gadget, gadgets, make_makers
from tests.opportune.site_with import site_fixture

LIST = "/admin/gadget/list?columns=name,size,state"


app = site_fixture(gadgets, lambda: [*make_makers(), Gadget(name="gadget", maker_id=1)])


async def test_arrow_keys_move_a_column(page: Page) -> None:
    await page.goto(LIST)
    await page.get_by_text("Columns", exact=True).click()
    handle = page.get_by_role("button", name="Move State")
    await page.keyboard.press("Escape")
    await expect(handle).to_be_hidden()
    await expect(page.locator("summary", has_text="Columns")).to_be_focused()
    await page.get_by_text("Columns", exact=True).click()
    await handle.press("ArrowUp")
    await expect(handle).to_be_focused()
    await handle.press("ArrowUp")
    await page.get_by_role("checkbox", name="Size").uncheck()
    await page.get_by_role("button", name="Apply").last.click()
    await page.wait_for_url("**/list?columns=state%2Cname")


async def test_pointer_drags_a_column(page: Page) -> None:
    await page.goto(LIST)
    await page.get_by_text("Columns", exact=True).click()
    await page.get_by_role("button", name="Move Name").hover()
    await page.mouse.down()
    box = await page.get_by_role("button", name="Move State").bounding_box()
    assert box
    await page.mouse.move(box["x"] + 5, box["y"] + box["height"] - 2, steps=10)
    await page.mouse.up()
    await page.get_by_role("button", name="Apply").last.click()
    await page.wait_for_url("**/list?columns=size%2Cstate%2Cname")


async def test_numbers_order_columns_without_scripts(plain_page: Page) -> None:
    page = plain_page
    await page.goto(LIST)
    await page.get_by_text("Columns", exact=True).click()
    await page.get_by_label("Position of State").fill("1")
    await page.get_by_role("button", name="Apply").last.click()
    await page.wait_for_url("**/list?columns=state%2Cname%2Csize")
