import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from jinja2 import ChoiceLoader, DictLoader
from markupsafe import escape
from sqlalchemy.ext.asyncio import AsyncSession

from app.home.checks import find_placeholders
from opportune.accounts import User
from opportune.feature import Feature, Panel, Site
from opportune.testing import make_user, signed_in_client
from opportune.web import templates
from opportune.web.rendering.environment import TemplateLoader


async def test_landing_page_offers_sign_in(app: FastAPI, client: AsyncClient) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    name = escape(app.state.settings.site_name)
    assert f"<title>{name}</title>" in response.text
    assert 'href="/accounts/login"' in response.text
    assert 'action="/accounts/logout"' not in response.text
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", response.text)
    not_modified = await client.get("/", headers={"if-none-match": response.headers["etag"]})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    assert not_modified.headers["content-security-policy"] == response.headers["content-security-policy"]


async def test_page_is_cached_only_for_visitors(app: FastAPI, client: AsyncClient) -> None:
    user = await make_user(app.state.database, "ada@example.com")
    async with signed_in_client(app, user) as browser:
        user_page = await browser.get("/")
        public = [await client.get("/?utm_source=a"), await client.get("/")]
        second_user_page = await browser.get("/")
    assert "ada@example.com" in user_page.text
    assert 'action="/accounts/logout"' in user_page.text
    assert "ada@example.com" in second_user_page.text
    assert user_page.headers["cache-control"] == "no-store"
    assert public[0].text == public[1].text
    assert "ada@example.com" not in public[1].text
    assert public[1].headers["cache-control"] == "no-cache"


async def test_blank_cards_are_omitted(app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    source = DictLoader({"card.html": "{% if viewer %}For {{ viewer.email }} &amp; {{ '<b>' }}{% endif %}"})
    monkeypatch.setattr(templates.environment, "loader", ChoiceLoader([source, TemplateLoader()]))

    async def context(_session: AsyncSession, viewer: User | None) -> dict[str, object]:
        return {"viewer": viewer}

    app.state.features = (*app.state.features, Feature("other", site=Site(home_card=Panel("card.html", context))))
    async with signed_in_client(app, await make_user(app.state.database, "ada@example.com")) as browser:
        assert "For ada@example.com &amp; &lt;b&gt;" in (await browser.get("/")).text
    assert "For ada@example.com" not in (await client.get("/")).text


async def test_user_gets_a_start_page(app: FastAPI) -> None:
    user = await make_user(app.state.database, "ada@example.com", is_staff=True)
    async with signed_in_client(app, user) as browser:
        page = (await browser.get("/")).text
    assert ("<h1>Hello" in page, page.count('href="/admin"')) == (True, 2)
    links = [link.path for feature in app.state.features for link in feature.site.navigation if not link.permission]
    assert [path for path in links if page.count(f'href="{path}"') < 2] == []  # in the menu and on the page


def test_check_names_each_page_with_a_placeholder(tmp_path: Path) -> None:
    (tmp_path / "imprint.html").write_text('<mark>{{ _("E-mail address.") }}</mark> <mark>Fax.</mark>')
    (tmp_path / "privacy.html").write_text("<p>Edited</p>")
    (tmp_path / "terms.html").write_text("<mark>What users\nmay do</mark>, and what not.")
    assert [(finding.text, finding.is_error) for finding in find_placeholders(tmp_path)] == [
        ("Write your own text in templates/home/imprint.html instead of “E-mail address”.", False),
        ("Write your own text in templates/home/terms.html instead of “What users may do”.", False),
    ]
