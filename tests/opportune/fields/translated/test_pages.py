"""Translated fields in the API and in a browser."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.testing.factories import sign_in_browser, signed_in_client
from opportune.testing.services.accessibility import find_violations
from tests.opportune.fields.translated.conftest import read_texts
from tests.opportune.fields.translated.poems_feature import Poem, poems
from tests.opportune.site_with import site_with


def find_input(page: str, name: str) -> str:
    match = re.search(rf'<(input|textarea)[^>]*name="{re.escape(name)}"[^>]*>', page)
    assert match, name
    return match[0]


async def test_form_has_an_input_per_language(client: AsyncClient) -> None:
    page = (await client.get("/poems/new")).text
    english, arabic = find_input(page, "title.en"), find_input(page, "title.ar")
    assert all(part in english for part in (' id="title"', ' required=""', ' data-maxlength="20"'))
    assert all(part in arabic for part in (' lang="ar"', ' dir="rtl"'))
    assert " required" not in arabic
    assert "autofocus" not in english
    assert find_input(page, "about.de").startswith("<textarea")
    assert page.index("title.en") < page.index("title.de")


async def test_edit_form_replaces_texts(app: FastAPI, client: AsyncClient, poem: Poem) -> None:
    assert ' value="Adler"' in find_input((await client.get("/poems/1/edit")).text, "title.de")
    await client.post("/poems/1/edit", data={"title.en": "Eagle", "title.de": "", "about.en": "", "note.de": "Hm"})
    assert await read_texts(app) == {"title": {"en": "Eagle"}, "about": {}, "note": {"de": "Hm"}}


async def test_stale_form_keeps_texts_of_other_users(app: FastAPI, client: AsyncClient, poem: Poem) -> None:
    (seen,) = re.findall(r'name="\(seen\)" value="([^"]+)"', (await client.get("/poems/1/edit")).text)
    form = {"title.en": "Zebra", "title.de": "Adler", "about.en": "Stripes", "(seen)": seen}
    await client.post("/poems/1/edit", data={**form, "title.en": "Owl"})
    assert (await client.post("/poems/1/edit", data={**form, "note.de": "Hm"})).status_code == 303
    assert (await read_texts(app))["title"] == {"en": "Owl", "de": "Adler"}


@pytest.mark.parametrize(
    ("texts", "name", "message"),
    [
        ({"title.de": "Adler"}, "title.en", "Please fill this in."),
        ({"title.en": "Eagle", "title.de": "A" * 21}, "title.de", "Please enter at most 20 characters."),
    ],
)
async def test_errors_are_beside_language(client: AsyncClient, texts: dict[str, str], name: str, message: str) -> None:
    response = await client.post("/poems/new", data=texts)
    assert response.status_code == 422
    assert response.text.count(message) == 1
    tag = find_input(response.text, name)
    assert all(part in tag for part in ("is-invalid", "autofocus"))
    assert find_input(response.text, "title.de").count('value="A') == bool(texts["title.de"])


async def test_site_with_one_language_has_plain_inputs(settings: Settings) -> None:
    async with site_with(poems, settings.model_copy(update={"language": "de"})) as app:
        async with signed_in_client(app) as client:
            assert ' required=""' in find_input((await client.get("/poems/new")).text, "title")
            await client.post("/poems/new", data={"title": "Adler"})
        assert await read_texts(app) == {"title": {"de": "Adler"}, "about": {}, "note": None}


async def test_tabs_show_one_language(app: FastAPI, page: Page, site: str, superuser: User) -> None:
    await sign_in_browser(page, app, superuser, site)
    await page.goto("/admin/poem/create")
    title = page.locator("language-tabs").first
    await title.get_by_role("tab", name="English").press("ArrowRight")
    await expect(title.get_by_role("tab", name="Deutsch")).to_be_focused()
    await title.get_by_label("Deutsch").last.fill("Adler")
    await expect(title.locator("#title")).to_be_hidden()
    await page.get_by_role("button", name="Save", exact=True).last.click()
    await expect(title.locator("#title")).to_be_focused()  # the browser refuses the empty required text
    assert await find_violations(page) == []
    await title.locator("#title").fill("Eagle")
    await page.get_by_role("button", name="Save", exact=True).last.click()
    await page.wait_for_url(lambda url: "/admin/poem/create" not in url)
    assert (await read_texts(app))["title"] == {"en": "Eagle", "de": "Adler"}
