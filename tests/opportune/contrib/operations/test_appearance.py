"""Admin > Appearance: preview, saving in development, and the file's content in production."""

from pathlib import Path

import pytest
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.config.appearance import find_appearance, read_appearance
from opportune.config.settings import Settings
from opportune.contrib.operations import appearance
from opportune.testing.services.accessibility import find_violations

ADDRESS = "/admin/appearance"


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update={"environment": getattr(request, "param", "development"), "jobs": "off"})


@pytest.fixture(autouse=True)
def stored_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a project in a temporary folder."""
    monkeypatch.setattr(appearance, "PROJECT", tmp_path)
    return tmp_path / "static" / "colours.css"


def stored_sheet(path: Path) -> str:
    """Return the content of the file, empty if it does not exist."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


async def test_saving_writes_the_file_of_the_project(superuser_client: AsyncClient, stored_file: Path) -> None:
    form = {"theme": "plum", "corners": "", "density": ""}
    response = await superuser_client.post(f"{ADDRESS}/save", data=form, follow_redirects=True)
    assert "Commit this file." in response.text
    assert read_appearance(stored_sheet(stored_file)) == find_appearance("plum")
    assert 'value="round" selected' in response.text


async def test_unknown_theme_is_refused(superuser_client: AsyncClient, stored_file: Path) -> None:
    response = await superuser_client.post(f"{ADDRESS}/save", data={"theme": "none"}, follow_redirects=True)
    assert "Select a theme" in response.text
    assert not stored_sheet(stored_file)
    assert (await superuser_client.get(f"{ADDRESS}/preview.css?theme=none")).status_code == 404


@pytest.mark.parametrize("settings", ["production"], indirect=True)
async def test_production_shows_the_file_and_writes_nothing(superuser_client: AsyncClient, stored_file: Path) -> None:
    page = (await superuser_client.get(f"{ADDRESS}?theme=plum")).text
    assert "--tblr-primary: #7e22ce;" in page
    assert "commit this file" in page
    assert (await superuser_client.post(f"{ADDRESS}/save", data={"theme": "plum"})).status_code == 403
    assert not stored_sheet(stored_file)


async def test_theme_is_previewed_live(page: Page, stored_file: Path) -> None:
    await page.goto(ADDRESS)
    await page.get_by_text("Forest").click()
    await expect(page.get_by_label("Corners")).to_have_value("large")
    button = page.get_by_role("button", name="Save")
    await expect(button).to_have_css("background-color", "rgb(22, 101, 52)")
    assert not await find_violations(page)
    await button.click()
    await expect(page.get_by_role("status")).to_contain_text("static/colours.css")
    assert read_appearance(stored_sheet(stored_file)) == find_appearance("forest")
