"""The header of the site fits every window."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.feature import Link
from opportune.testing import make_team, make_user, sign_in_browser

SHORT_NAMES = "ann@example.com", "Crew", "Customer orders"
LONG_NAMES = f"{'l' * 60}@{'d' * 60}.{'d' * 60}.example.com", "T" * 100, "Verwaltungsangelegenheiten " * 7
PROBLEMS = Path(__file__).with_name("header_problems.js").read_text(encoding="utf-8")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"languages": ["en", "de", "ar"]})


@pytest.fixture(params=[(4, LONG_NAMES), (12, SHORT_NAMES)], ids=["4 long entries", "12 entries"])
async def user(request: pytest.FixtureRequest, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user with a team, for whom the menu of the site has some entries."""
    count, (email, team, label) = request.param
    links = [Link(f"{label} {number}", f"/orders-{number}", icon="box") for number in range(count)]
    monkeypatch.setattr(app.state, "navigation", links)
    owner = await make_user(app.state.database, email, is_superuser=True)
    await make_team(app.state.database, owner, name=team)
    return owner


async def find_problems(page: Page, widths: range, *, has_scripts: bool = True) -> list[tuple[int, str]]:
    problems = []
    for width in widths:
        await page.set_viewport_size({"width": width, "height": 700})
        problems += [(width, problem) for problem in await page.evaluate(PROBLEMS, has_scripts)]
    return problems


@pytest.mark.parametrize("language", ["de", "ar"])
async def test_header_fits_at_every_width(page: Page, app: FastAPI, site: str, user: User, language: str) -> None:
    await sign_in_browser(page, app, user, site)
    await page.set_extra_http_headers({"Accept-Language": language})
    await page.goto("/accounts/profile")
    await expect(page.locator("html")).to_have_attribute("lang", language)
    await expect(page.locator("header")).to_contain_text(user.email)
    for layout in ("top", "side"):
        await page.evaluate("layout => { document.documentElement.dataset.layout = layout }", layout)
        assert await find_problems(page, range(320, 1921, 80)) == [], layout


async def test_header_fits_without_javascript(plain_page: Page, app: FastAPI, site: str, user: User) -> None:
    await sign_in_browser(plain_page, app, user, site)
    await plain_page.goto("/accounts/profile")
    assert await find_problems(plain_page, range(320, 1921, 320), has_scripts=False) == []
    await plain_page.set_viewport_size({"width": 390, "height": 700})
    await plain_page.get_by_role("button", name="Menu").click()
    await expect(plain_page.get_by_role("link", name=" 3", exact=False).last).to_be_visible()
    await plain_page.locator("summary", has_text="Account").click()
    await expect(plain_page.get_by_role("button", name="Sign out")).to_be_in_viewport(ratio=1)
