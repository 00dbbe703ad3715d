"""Files of docs/make-it-yours.md, which replace files of the framework."""

import re
from html import unescape
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from jinja2.utils import LRUCache
from playwright.async_api import Page, expect

from opportune.config.settings import Settings
from opportune.mail.addresses import sender_address
from opportune.mail.email import render_email
from opportune.mail.templates import environment as email_environment
from opportune.project.layout import FRAMEWORK, PROJECT
from opportune.web import assets, templates
from tests.opportune.guides import read_guide

GUIDE = read_guide("make-it-yours.md")
FILES = dict(re.findall(r"`((?:static|templates)/[\w./-]+)`[^\n]*\n(?:[^\n`]+\n)*\n```\w+\n(.*?)```", GUIDE, re.DOTALL))
NAME = "Reading Circle"
TITLES = {
    "/accounts/login": f"Sign in · {NAME}",
    "/accounts/register": f"Register · {NAME}",
    "/nothing": f"404 Not Found · {NAME}",
    "/mailbox": f"403 Forbidden · {NAME}",
    "/api/docs": f"API · {NAME}",
}
COLOUR_SCRIPT = """(element, property) => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(element)[property];
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}"""
"""Script that returns a colour as red, green and blue."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project folder with the files of the guide, before those of the framework."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    folders = (tmp_path / "templates", PROJECT / "templates", FRAMEWORK / "templates")
    monkeypatch.setattr(
        "opportune.web.rendering.environment.TEMPLATE_FOLDERS", folders
    )  # for the admin, which is built with the site
    for environment in (templates.environment, email_environment):
        monkeypatch.setattr(environment.loader, "searchpath", [str(folder) for folder in folders])
        monkeypatch.setattr(environment, "cache", LRUCache(400))
    monkeypatch.setattr(assets, "all_directories", [tmp_path / "static", *assets.all_directories])
    for cache in ("_urls", "_digests", "_compressed"):
        monkeypatch.setattr(assets, cache, {})
    return tmp_path


@pytest.fixture
def settings(settings: Settings, project: Path) -> Settings:
    return settings.model_copy(update={"site_name": NAME})


async def test_files_of_the_project_change_every_page(client: AsyncClient) -> None:
    pages = {path: (await client.get(path)).text for path in TITLES}
    titles = {path: unescape(re.findall(r"<title>(.*?)</title>", page)[0]) for path, page in pages.items()}
    assert titles == TITLES
    for page in (pages[path] for path in ("/accounts/login", "/accounts/register", "/nothing")):
        assert "Reading Circle, Lisbon</footer>" in page
        assert f'<link rel="stylesheet" href="{assets.url("own.css")}">' in page
        assert '<nav class="navbar-collapse" id="menu"' in page
    sign_in = pages["/accounts/login"]
    assert sign_in.index("Members only") < sign_in.index('name="password"')
    error = await client.get("/nothing", headers={"Accept": "text/html"})
    assert error.status_code == 404
    assert [text for text in ("Lost a book?", "Back to the start") if text not in error.text] == []
    assert (await client.get("/api/openapi.json")).json()["info"]["title"] == NAME


async def test_style_sheet_logo_and_colours_are_single_files(client: AsyncClient) -> None:
    assert "letter-spacing" in (await client.get(assets.url("own.css"))).text
    for url in (assets.url("icon.svg"), "/favicon.ico"):
        assert (await client.get(url)).text == FILES["static/icon.svg"]
    assert (await client.get(assets.url("colours.css"))).text == FILES["static/colours.css"]


def test_emails_are_changed_and_name_the_site(settings: Settings) -> None:
    email = render_email(settings, "ada@example.com", "accounts/mail/register", {"token": "abc"})
    assert "Rua do Alecrim 12" in email.html
    assert "Replies to this address" not in email.html
    assert "background: #0f766e" in email.html
    assert f">{NAME}</a>" in email.html
    assert NAME in email.text
    assert sender_address(settings).display_name == NAME
    named = settings.model_copy(update={"mail_from": "Librarian <books@example.org>"})
    assert sender_address(named).display_name == "Librarian"


async def test_buttons_and_links_have_the_colour(site: str, page: Page) -> None:
    await page.goto(f"{site}/accounts/login")
    button, link = page.get_by_role("button", name="Sign in"), page.get_by_role("link", name="Forgot your password?")
    assert await button.evaluate(COLOUR_SCRIPT, "backgroundColor") == [15, 118, 110]
    assert await link.evaluate(COLOUR_SCRIPT, "color") == [15, 118, 110]
    await page.emulate_media(color_scheme="dark")
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert await link.evaluate(COLOUR_SCRIPT, "color") == [94, 234, 212]


def test_guide_lists_blocks_and_templates() -> None:
    blocks = set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE))
    assert blocks == set(re.findall(r"{% block (\w+) %}", (FRAMEWORK / "templates/base.html").read_text()))
    rows = re.findall(r"^\| (`[\w/]+\.html`.*?) \|", GUIDE, re.MULTILINE)
    paths = [path for row in rows for path in re.findall(r"`([\w/]+\.html)`", row)]
    assert len(paths) >= 6
    for path in paths:
        assert templates.environment.get_template(path)
