"""Pictures, cards with many fields and buttons of the admin have their place at every width, in a browser."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.config.settings import Settings
from tests.opportune.admin.gadget_feature import Gadget, GadgetAdmin, Maker, gadgets, make_makers
from tests.opportune.site_with import site_fixture

LIST = "/admin/gadget/list"
COLUMNS = ",".join(
    ("id", "name", "maker_id", "spare_id", "colour", "state", "size", "weight", "ratio", "made_on", "seen_at", "data")
)


app = site_fixture(gadgets, lambda: [*make_makers(), Gadget(name="lamp", maker_id=1, data="Last field")])


@pytest.mark.parametrize("width", [390, 1280])
async def test_rectangles_of_pictures_keep_their_width(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    for path in (f"{LIST}?search=nothing", "/admin/nothing/list", "/admin/job/list"):
        await page.goto(path)
        drawn = "rects => rects.map((rect) => Math.round(rect.getBBox().width - rect.getAttribute('width')))"
        differences = await page.locator(".drawing rect").evaluate_all(drawn)
        assert {*differences} == {0}, path


async def test_card_shows_first_fields_of_many(page: Page) -> None:
    await page.set_viewport_size({"width": 390, "height": 800})
    await page.goto(f"{LIST}?columns={COLUMNS}")
    last = page.get_by_role("cell", name="Last field")
    await expect(page.get_by_role("cell", name="lamp")).to_be_visible()
    await expect(last).to_be_hidden()
    await page.get_by_text("All fields").click()
    await expect(last).to_be_visible()
    await page.get_by_text("Fewer fields").click()
    await expect(last).to_be_hidden()


async def test_wide_list_shows_all_fields(page: Page) -> None:
    await page.goto(f"{LIST}?columns={COLUMNS}")
    await expect(page.get_by_role("cell", name="Last field")).to_be_visible()
    await expect(page.get_by_text("All fields")).to_be_hidden()


async def test_many_buttons_are_a_menu_on_tablets(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "editable", ("size",))
    await page.set_viewport_size({"width": 800, "height": 800})
    await page.goto(LIST)
    report = page.get_by_role("link", name="Report")
    await expect(report).to_be_hidden()
    await page.get_by_role("button", name="More actions").click()
    await expect(report).to_be_in_viewport(ratio=1)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.reload()
    await expect(report).to_be_visible()


async def test_six_buttons_are_a_menu_beside_the_menu(page: Page, superuser: User) -> None:
    await page.goto(f"/admin/user/details/{superuser.id}")
    deletion = page.get_by_role("link", name="Delete")
    await expect(deletion).to_be_hidden()
    await page.get_by_role("button", name="More actions").click()
    await expect(deletion).to_be_in_viewport(ratio=1)


async def test_long_texts_stay_beside_fields(page: Page, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GadgetAdmin, "editable", ("size",))
    async with app.state.database.writer() as session:
        session.add(Gadget(name="chair", maker_id=1, data="Rindfleisch" * 20))
    await page.goto("/admin/gadget/edit-page?columns=data,size")
    text = page.get_by_text("RindfleischRind")
    is_inside = "text => text.getBoundingClientRect().right <= text.closest('td').getBoundingClientRect().right"
    assert await text.evaluate(is_inside)


class TestArabic:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"languages": ["en", "ar"]})

    @pytest.fixture
    async def page(self, page: Page) -> Page:
        await page.set_extra_http_headers({"Accept-Language": "ar"})
        return page

    async def test_box_of_a_card_is_at_its_start(self, page: Page) -> None:
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.goto(LIST)
        box = await page.locator("tbody .select-box").bounding_box()
        text = await page.get_by_role("cell", name="lamp").bounding_box()
        assert box
        assert text
        assert box["x"] >= text["x"] + text["width"]

    async def test_long_title_stays_in_the_window(self, page: Page, app: FastAPI) -> None:
        async with app.state.database.writer() as session:
            (await session.get_one(Maker, 1)).name = "Rindfleischetikettierungsaufgabenubertragungsgesetz"
        await page.set_viewport_size({"width": 800, "height": 800})
        await page.goto("/admin/maker/details/1")
        await page.locator("h1").evaluate("title => title.append(title.textContent.repeat(4))")
        assert await page.evaluate("document.documentElement.scrollWidth") == 800
