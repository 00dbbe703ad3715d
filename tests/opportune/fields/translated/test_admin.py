"""Translated texts in the admin: forms, lists, history, import and export."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select

from opportune.config.settings import Settings
from opportune.fields import texts_of
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.contrib.import_export.import_steps import confirm_preview, upload_file
from tests.opportune.fields.translated.conftest import GERMAN, read_texts
from tests.opportune.fields.translated.poems_feature import Poem, Verse, poems
from tests.opportune.fields.translated.test_pages import find_input
from tests.opportune.site_with import site_with


async def test_form_stores_texts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    texts = {"title.en": "Hawk", "title.ar": "صقر", "about.en": "", "about.de": "Federn", "note.de": "Hm"}
    response = await admin.post("/admin/poem/edit/1", data={**texts, "save": "Save"})
    assert response.status_code == 303
    stored = {"title": {"en": "Hawk", "ar": "صقر"}, "about": {"de": "Federn"}, "note": {"de": "Hm"}}
    assert await read_texts(app) == stored


@pytest.mark.parametrize(
    ("texts", "message", "name"),
    [
        ({"title.en": "Eagle", "title.de": "A" * 21}, "Deutsch: Please enter at most 20 characters.", "title.de"),
        ({"title.en": "", "title.de": "Adler"}, "English: Please fill this in.", "title.en"),
        ({"title.en": "", "title.de": ""}, "This field is required.", "title.en"),
    ],
)
async def test_errors_name_their_language(admin: AsyncClient, texts: dict[str, str], message: str, name: str) -> None:
    page = (await admin.post("/admin/poem/create", data={**texts, "save": "Save"})).text
    assert page.count(message) == 1
    assert "is-invalid" in find_input(page, name)
    assert f'value="{texts["title.de"]}"' in find_input(page, "title.de")


async def test_changes_of_another_user_are_conflicts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    page = (await admin.get("/admin/poem/edit/1")).text
    seen = re.search(r'name="\(seen\)" value="([^"]*)"', page)
    assert seen
    async with app.state.database.writer() as session:
        (await session.get_one(Poem, 1)).title = "Lion"
    texts = {"title.en": "Hawk", "title.de": "Adler", "about.en": "Stripes"}
    response = await admin.post("/admin/poem/edit/1", data={**texts, "(seen)": seen[1], "save": "Save"})
    assert response.status_code == 409


async def test_list_sorts_searches_and_filters_in_current_language(admin: AsyncClient, poem: Poem) -> None:
    german = (await admin.get("/admin/poem/list?sortBy=title&sort=asc", headers=GERMAN)).text
    english = (await admin.get("/admin/poem/list?sortBy=title&sort=asc")).text
    assert 0 < german.index("Adler") < german.index("Mouse")
    assert 0 < english.index("Mouse") < english.index("Zebra")
    for query in ("search=adl", "title_op=contains&title=adl", "title_op=equals&title=Adler"):
        assert "Adler" in (await admin.get(f"/admin/poem/list?{query}", headers=GERMAN)).text
        assert "Zebra" not in (await admin.get(f"/admin/poem/list?{query}")).text


async def test_related_title_is_in_current_language(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    await admin.post("/admin/verse/create", data={"poem_id": "1", "text.en": "*One*", "save": "Save"})
    assert "Adler" in (await admin.get("/admin/verse/list", headers=GERMAN)).text
    assert "Zebra" in (await admin.get("/admin/verse/details/1")).text


async def test_history_and_versions_show_languages(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    await admin.post("/admin/poem/edit/1", data={"title.en": "Hawk", "title.de": "Adler", "save": "Save"})
    page = (await admin.get("/admin/poem/history/1")).text
    assert all(text in page for text in (">de: Adler<", "</span>en: Zebra<", "</span>en: Hawk<"))
    restored = await admin.post("/admin/poem/version/1?number=1")
    assert restored.status_code == 303
    assert (await read_texts(app))["title"] == {"en": "Zebra", "de": "Adler"}


@pytest.mark.parametrize("format_", ["csv", "json"])
async def test_import_reads_export(app: FastAPI, admin: AsyncClient, poem: Poem, format_: str) -> None:
    exported = (await admin.get(f"/admin/poem/export/{format_}?search=zebra")).text
    await confirm_preview(admin, await upload_file(admin, "/admin/poem/import", exported, f"poems.{format_}"))
    async with app.state.database.reader() as session:
        newest: Any = await session.scalar(select(func.max(Poem.id)))
    assert newest > 2
    assert await read_texts(app, newest) == await read_texts(app, 1)


async def test_site_with_one_language_has_plain_values(settings: Settings) -> None:
    async with site_with(poems, settings) as app:
        superuser = await make_user(app.state.database, "root@example.com", is_superuser=True)
        async with signed_in_client(app, superuser) as admin:
            assert 'value=""' in find_input((await admin.get("/admin/poem/create")).text, "title")
            await admin.post("/admin/poem/create", data={"title": "Hawk", "save": "Save"})
            assert json.loads((await admin.get("/admin/poem/export/json")).text)[0]["title"] == "Hawk"


async def test_inline_rows_store_texts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    page = (await admin.get("/admin/poem/edit/1")).text
    assert " required" not in find_input(page, "verse-new0-text.en")
    form = {"title.en": "Hawk", "about.en": "", "verse-(rows)": "new0", "save": "Save"}
    texts = {"verse-new0-text.en": "*One*", "verse-new0-text.de": "*Eins*"}
    assert (await admin.post("/admin/poem/edit/1", data=form | texts)).status_code == 303
    blank = {"verse-new0-text.en": "", "verse-new0-text.de": ""}
    assert (await admin.post("/admin/poem/edit/1", data=form | blank)).status_code == 303
    async with app.state.database.reader() as session:
        [verse] = await session.scalars(select(Verse))
        assert texts_of(verse.text) == {"en": "*One*", "de": "*Eins*"}


async def test_personal_data_has_all_languages(app: FastAPI, poem: Poem) -> None:
    user = await make_user(app.state.database)
    async with app.state.database.writer() as session:
        (await session.get_one(Poem, 1)).user_id = user.id
    async with signed_in_client(app, user) as client:
        rows = (await client.get("/api/v1/users/me/export")).json()["poems"]["poem"]
    assert rows[0]["title"] == {"en": "Zebra", "de": "Adler"}
