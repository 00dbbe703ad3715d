"""The header of the site fits every window."""

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.feature import Feature, Link, Site
from opportune.testing.factories import make_user, sign_in_browser

PROBLEMS = """async (hasScripts) => {
  if (hasScripts) await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const problems = [], header = document.querySelector("header.navbar");
  if (document.documentElement.scrollWidth > innerWidth) problems.push("the page scrolls sideways");
  if (hasScripts && header.offsetHeight > 72) problems.push("the header has several lines");
  for (const element of header.querySelectorAll("a, button")) {
    const { left, right, width, height } = element.getBoundingClientRect();
    const isVisible = element.checkVisibility({ visibilityProperty: true }) && width > 1;
    if (!isVisible || element.closest(".dropdown-menu")) continue;
    const name = element.textContent.trim() || element.ariaLabel;
    if (left < 0 || right > innerWidth) problems.push(`${name} is off-screen`);
    if (!element.matches(".navbar-brand") && height > 64) problems.push(`${name} breaks`);
  }
  return problems;
}"""


@pytest.fixture(params=[0, 8])
def entries(request: pytest.FixtureRequest, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    links = [Link(f"Customer orders {number}", f"/orders-{number}", icon="box") for number in range(request.param)]
    feature = Feature("orders", "Orders", site=Site(navigation=links))
    monkeypatch.setattr(app.state, "features", (*app.state.features, feature))


async def find_problems(
    page: Page, app: FastAPI, site: str, widths: range, *, has_scripts: bool
) -> dict[int, list[str]]:
    user = await make_user(app.state.database, "a.rather.long.name@example.com", is_superuser=True)
    await sign_in_browser(page, app, user, site)
    await page.goto("/accounts/profile")
    await expect(page.locator("header")).to_contain_text("example.com")
    problems = {}
    for width in widths:
        await page.set_viewport_size({"width": width, "height": 700})
        problems[width] = await page.evaluate(PROBLEMS, has_scripts)
    return {width: found for width, found in problems.items() if found}


@pytest.mark.language("en", "de", "ar")
@pytest.mark.usefixtures("entries")
async def test_header_fits_at_every_width(page: Page, app: FastAPI, site: str) -> None:
    assert await find_problems(page, app, site, range(320, 1921, 40), has_scripts=True) == {}


@pytest.mark.language("de")
@pytest.mark.usefixtures("entries")
async def test_header_fits_without_javascript(plain_page: Page, app: FastAPI, site: str) -> None:
    assert await find_problems(plain_page, app, site, range(320, 1921, 160), has_scripts=False) == {}


@pytest.mark.parametrize("entries", [8], indirect=True)
@pytest.mark.usefixtures("entries")
async def test_entries_that_do_not_fit_are_in_more(page: Page, app: FastAPI, site: str) -> None:
    await page.set_viewport_size({"width": 900, "height": 700})
    await page.goto("/accounts/login")
    last = page.get_by_role("link", name="Customer orders 7")
    await expect(last).to_be_hidden()
    await page.get_by_role("button", name="More").click()
    await expect(last).to_be_in_viewport(ratio=1)
    await page.set_viewport_size({"width": 390, "height": 700})
    await page.get_by_role("button", name="Menu").click()
    await expect(last).to_be_visible()
