"""Translated texts in the admin: forms, lists, history, import and export."""

import re
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select

from opportune.fields import texts_of
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.contrib.import_export.import_steps import confirm_preview, upload_file
from tests.opportune.fields.translated.conftest import read_texts
from tests.opportune.fields.translated.poems_feature import Poem, Verse
from tests.opportune.fields.translated.test_pages import find_input


async def test_form_stores_texts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    texts = {"title.en": "Hawk", "title.ar": "صقر", "about.en": "", "about.de": "Federn", "note.de": "Hm"}
    response = await admin.post("/admin/poem/edit/1", data={**texts, "save": "Save"})
    assert response.status_code == 303
    stored = {"title": {"en": "Hawk", "ar": "صقر"}, "about": {"de": "Federn"}, "note": {"de": "Hm"}}
    assert await read_texts(app) == stored


async def test_changes_of_another_user_are_conflicts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    page = (await admin.get("/admin/poem/edit/1")).text
    seen = re.search(r'name="\(seen\)" value="([^"]*)"', page)
    assert seen
    async with app.state.database.writer() as session:
        (await session.get_one(Poem, 1)).title = "Lion"
    texts = {"title.en": "Hawk", "title.de": "Adler", "about.en": "Stripes"}
    response = await admin.post("/admin/poem/edit/1", data={**texts, "(seen)": seen[1], "save": "Save"})
    assert response.status_code == 409


async def test_history_and_versions_show_languages(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    await admin.post("/admin/poem/edit/1", data={"title.en": "Hawk", "title.de": "Adler", "save": "Save"})
    page = (await admin.get("/admin/poem/history/1")).text
    assert all(text in page for text in (">de: Adler<", "</span>en: Zebra<", "</span>en: Hawk<"))
    restored = await admin.post("/admin/poem/version/1?number=1")
    assert restored.status_code == 303
    assert (await read_texts(app))["title"] == {"en": "Zebra", "de": "Adler"}


async def test_import_reads_export(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    exported = (await admin.get("/admin/poem/export/csv?search=zebra")).text
    await confirm_preview(admin, await upload_file(admin, "/admin/poem/import", exported, "poems.csv"))
    async with app.state.database.reader() as session:
        newest: Any = await session.scalar(select(func.max(Poem.id)))
    assert newest > 2
    assert await read_texts(app, newest) == await read_texts(app, 1)


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
