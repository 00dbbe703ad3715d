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

# The page asks nothing of the database itself.
pytestmark = pytest.mark.database("sqlite")


async def test_a_visitor_sees_what_is_installed_and_where_its_code_is_and_is_asked_to_sign_in(
    app: FastAPI, client: AsyncClient
) -> None:
    answer = await client.get("/")

    assert answer.status_code == 200
    for feature in installed_features():
        assert feature.summary in answer.text.replace("&#39;", "'")
        assert re.search(rf"<code>(app|opportune|opportune/llm|opportune/contrib)/{feature.name}/</code>", answer.text)
    named = re.findall(r"<code>(\w[\w/]*)/</code>", answer.text)
    assert "app/home" in named
    assert [folder for folder in named if not (PROJECT / folder).is_dir()] == []
    assert f"<title>{escape(app.state.settings.site_name)}</title>" in answer.text, "the name of the site alone"
    assert 'href="/accounts/login"' in answer.text
    assert "Sign out" not in answer.text
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", answer.text)
    assert "FastAPI 0." not in answer.text, "addresses and versions are for developers only"

    again = await client.get("/", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == answer.headers["content-security-policy"]


async def test_any_set_of_features_will_do(app: FastAPI, client: AsyncClient) -> None:
    links = [Link("One", "/one", "home"), Link("Two", "/two", "home"), Link("Three", "/three", "home")]
    app.state.features = (Feature(name="other", summary="Something else.", navigation=links),)

    answer = await client.get("/")

    text = " ".join(re.sub(r"<[^>]+>", "", answer.text).split())
    assert "Try One, Two and Three." in text
    assert "Something else." in text


async def test_it_is_built_once_for_visitors_and_for_each_who_is_signed_in(app: FastAPI, client: AsyncClient) -> None:
    user = await make_user(app.state.database, "ada@example.com")
    async with signed_in_client(app, user) as browser:
        hers = await browser.get("/")
        public = [await client.get("/?utm_source=a"), await client.get("/")]
        hers_again = await browser.get("/")

    assert "You are signed in as" in hers.text
    assert "ada@example.com" in hers.text
    assert 'action="/accounts/logout"' in hers.text
    assert "ada@example.com" in hers_again.text
    assert hers.headers["cache-control"] == "no-store"
    assert public[0].text == public[1].text
    assert "ada@example.com" not in public[1].text
    assert public[1].headers["cache-control"] == "no-cache"


async def test_cards_of_features_are_shown_and_blank_ones_left_out(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DictLoader({"card.html": "{% if viewer %}For {{ viewer.email }} &amp; {{ '<b>' }}{% endif %}"})
    monkeypatch.setattr(templates.environment, "loader", ChoiceLoader([source, TemplateLoader()]))

    async def context(_session: AsyncSession, viewer: User | None) -> dict[str, object]:
        return {"viewer": viewer}

    app.state.features = (Feature(name="other", summary="", home_card=Panel("card.html", context)),)
    async with signed_in_client(app, await make_user(app.state.database, "ada@example.com")) as browser:
        assert "For ada@example.com &amp; &lt;b&gt;" in (await browser.get("/")).text
    assert "row row-cards mb-5" not in (await client.get("/")).text
