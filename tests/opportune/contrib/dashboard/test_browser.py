"""Dashboard in a browser."""

from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.testing.factories import sign_in_browser
from tests.opportune.admin.gadget_feature import Gadget, Maker
from tests.opportune.contrib.dashboard.test_widgets import WIDGETS, with_widgets
from tests.opportune.site_with import site_fixture

app = site_fixture(
    with_widgets(*WIDGETS),
    lambda: [Maker(id=1, name="Acme"), *(Gadget(name=f"Gadget {name}", maker_id=1, size=20) for name in range(4))],
)


async def test_widget_is_dragged_to_another_place(app: FastAPI, page: Page, superuser: User, site: str) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.set_viewport_size({"width": 1280, "height": 1600})
    await page.goto("/admin/arrange-overview")
    lines = page.locator("[data-zone]").first.locator("li")
    last = await lines.last.inner_text()
    await lines.last.drag_to(lines.first, target_position={"x": 10, "y": 2})
    await expect(page.get_by_role("status")).to_contain_text("Overview was saved")
    await expect(lines.first).to_contain_text(last)
