"""A form of the admin that is sent twice while the server is slow."""

from playwright.async_api import Page, Route, expect

from tests.opportune.admin.gadget_feature import gadgets, make_makers
from tests.opportune.site_with import site_fixture

app = site_fixture(gadgets, make_makers)


async def test_buttons_of_a_sent_form_are_busy(page: Page) -> None:
    await page.goto("/admin/gadget/create?name=clock&maker_id=1")
    requests: list[str] = []

    # Playwright reports nothing about a page while another one is loading.
    async def respond_without_page(route: Route) -> None:
        requests.append(route.request.post_data or "")
        await route.fulfill(status=204)

    await page.route("**/admin/gadget/create*", respond_without_page)
    button = page.get_by_role("button", name="Save", exact=True)
    await button.click(no_wait_after=True)
    await expect(button).to_be_disabled()
    await expect(button).to_have_attribute("aria-busy", "true")
    await expect(page.get_by_role("button", name="Save and continue")).to_be_disabled()
    await expect(page.get_by_role("progressbar", name="Loading")).to_be_visible()
    await page.locator("#name").press("Enter", no_wait_after=True)
    assert len(requests) == 1
    assert "save=Save" in requests[0], "the pressed button's value is sent"
