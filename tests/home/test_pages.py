import re

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from jinja2 import ChoiceLoader, DictLoader
from markupsafe import escape
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import User
from opportune.config.project import PROJECT, installed_features
from opportune.feature import Feature, Link, Panel
from opportune.testing import make_user, signed_in_client
from opportune.web import templates
from opportune.web.rendering.loader import TemplateLoader

pytestmark = pytest.mark.database("sqlite")


async def test_landing_page_lists_installed_features(app: FastAPI, client: AsyncClient) -> None:
    response = await client.get("/")

    assert response.status_code == 200
    for feature in installed_features():
        assert feature.summary in response.text.replace("&#39;", "'")
    folders = re.findall(r"<code>(\w[\w/]*)/</code>", response.text)
    assert "app/home" in folders
    assert [folder for folder in folders if not (PROJECT / folder).is_dir()] == []
    assert f"<title>{escape(app.state.settings.site_name)}</title>" in response.text
    assert 'href="/accounts/login"' in response.text
    assert "Sign out" not in response.text
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", response.text)
    assert "FastAPI 0." not in response.text

    not_modified = await client.get("/", headers={"if-none-match": response.headers["etag"]})
    assert (not_modified.status_code, not_modified.content) == (304, b"")
    assert not_modified.headers["content-security-policy"] == response.headers["content-security-policy"]


async def test_landing_page_works_with_other_features(app: FastAPI, client: AsyncClient) -> None:
    links = [Link("One", "/one", "home"), Link("Two", "/two", "home"), Link("Three", "/three", "home")]
    app.state.features = (Feature(name="other", summary="Something else.", navigation=links),)

    response = await client.get("/")

    text = " ".join(re.sub(r"<[^>]+>", "", response.text).split())
    assert "Try One, Two and Three." in text
    assert "Something else." in text


async def test_page_is_cached_only_for_visitors(app: FastAPI, client: AsyncClient) -> None:
    user = await make_user(app.state.database, "ada@example.com")
    async with signed_in_client(app, user) as browser:
        user_page = await browser.get("/")
        public = [await client.get("/?utm_source=a"), await client.get("/")]
        second_user_page = await browser.get("/")

    assert "You are signed in as" in user_page.text
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

    app.state.features = (Feature(name="other", summary="", home_card=Panel("card.html", context)),)
    async with signed_in_client(app, await make_user(app.state.database, "ada@example.com")) as browser:
        assert "For ada@example.com &amp; &lt;b&gt;" in (await browser.get("/")).text
    assert "row row-cards mb-5" not in (await client.get("/")).text
