"""Translated texts in the admin and the API."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select

from opportune.fields import texts_of
from opportune.testing.factories import make_user, signed_in_client
from tests.opportune.contrib.import_export.import_steps import confirm_preview, upload_file
from tests.opportune.fields.translated.conftest import GERMAN, read_texts
from tests.opportune.fields.translated.poems_feature import Poem, Verse
from tests.opportune.fields.translated.test_pages import find_input
from tests.opportune.stored_rows import add_rows, change_row, read_one


async def test_form_stores_texts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    texts = {"title.en": "Hawk", "title.ar": "صقر", "about.en": "", "about.de": "Federn", "note.de": "Hm"}
    assert (await admin.post("/admin/poem/edit/1", data={**texts, "save": "Save"})).status_code == 303
    stored = {"title": {"en": "Hawk", "ar": "صقر"}, "about": {"de": "Federn"}, "note": {"de": "Hm"}}
    assert await read_texts(app) == stored


async def test_changes_of_another_user_are_conflicts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    page = (await admin.get("/admin/poem/edit/1")).text
    seen = re.search(r'name="\(seen\)" value="([^"]*)"', page)
    assert seen
    await change_row(app, Poem, title="Lion")
    texts = {"title.en": "Hawk", "title.de": "Adler", "about.en": "Stripes"}
    response = await admin.post("/admin/poem/edit/1", data={**texts, "(seen)": seen[1], "save": "Save"})
    assert response.status_code == 409


async def test_history_and_versions_show_languages(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    await admin.post("/admin/poem/edit/1", data={"title.en": "Hawk", "title.de": "Adler", "save": "Save"})
    page = (await admin.get("/admin/poem/history/1")).text
    assert all(text in page for text in (">de: Adler<", "</span>en: Zebra<", "</span>en: Hawk<"))
    assert (await admin.post("/admin/poem/version/1?number=1")).status_code == 303
    assert (await read_texts(app))["title"] == {"en": "Zebra", "de": "Adler"}


async def test_import_reads_export(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    exported = (await admin.get("/admin/poem/export/csv?search=zebra")).text
    await confirm_preview(admin, await upload_file(admin, "/admin/poem/import", exported, "poems.csv"))
    newest: int = await read_one(app, select(func.max(Poem.id)))
    assert newest > 2
    assert await read_texts(app, newest) == await read_texts(app, 1)


async def test_inline_rows_store_texts(app: FastAPI, admin: AsyncClient, poem: Poem) -> None:
    assert " required" not in find_input((await admin.get("/admin/poem/edit/1")).text, "verse-new0-text.en")
    form = {"title.en": "Hawk", "about.en": "", "verse-(rows)": "new0", "save": "Save"}
    texts = {"verse-new0-text.en": "*One*", "verse-new0-text.de": "*Eins*"}
    assert (await admin.post("/admin/poem/edit/1", data=form | texts)).status_code == 303
    blank = {"verse-new0-text.en": "", "verse-new0-text.de": ""}
    assert (await admin.post("/admin/poem/edit/1", data=form | blank)).status_code == 303
    assert texts_of((await read_one(app, Verse)).text) == {"en": "*One*", "de": "*Eins*"}


async def test_personal_data_has_all_languages(app: FastAPI, poem: Poem) -> None:
    user = await make_user(app.state.database)
    await change_row(app, Poem, user_id=user.id)
    async with signed_in_client(app, user) as client:
        rows = (await client.get("/api/v1/users/me/export")).json()["poems"]["poem"]
    assert rows[0]["title"] == {"en": "Zebra", "de": "Adler"}


POEMS = "/api/v1/poems"


@pytest.mark.database("sqlite", "postgresql")
async def test_rows_have_text_in_language_of_request(client: AsyncClient, poem: Poem) -> None:
    rows = (await client.get(f"{POEMS}?sort=title", headers=GERMAN)).json()["items"]
    assert [row["title"] for row in rows] == ["Adler", "Mouse"]
    row = (await client.get(f"{POEMS}/1", headers=GERMAN)).json()
    assert (row["title"], row["about"], row["note"]) == ("Adler", "Stripes", None)


async def test_rows_have_all_languages_on_request(client: AsyncClient, poem: Poem) -> None:
    rows = (await client.get(f"{POEMS}?languages=all&q=zebra")).json()["items"]
    row = (await client.get(f"{POEMS}/1?languages=all")).json()
    assert rows == [row]
    assert (row["title"], row["note"]) == ({"en": "Zebra", "de": "Adler"}, None)


@pytest.mark.parametrize("url", [POEMS, "/api/v1/verses?languages=all"])
async def test_texts_in_one_language_name_it(client: AsyncClient, poem: Poem, url: str) -> None:
    response = await client.get(url, headers=GERMAN)
    assert response.headers["content-language"] == "de"
    assert response.headers["vary"] == "accept-language, cookie"


async def test_new_row_takes_text_or_object(app: FastAPI, client: AsyncClient) -> None:
    assert (await client.post(POEMS, json={"title": "Hawk"})).json()["title"] == "Hawk"
    texts = {"en": "Eagle", "de": "Adler"}
    response = await client.post(POEMS, json={"title": texts, "about": {"de": "Federn"}}, headers=GERMAN)
    assert (response.status_code, response.json()["title"]) == (201, "Adler")
    assert await read_texts(app, response.json()["id"]) == {"title": texts, "about": {"de": "Federn"}, "note": None}


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(("title", "texts"), [("Hai", {"en": "Zebra", "de": "Hai"}), ({"en": "Hawk"}, {"en": "Hawk"})])
async def test_change_replaces_one_text_or_all(
    app: FastAPI, client: AsyncClient, poem: Poem, title: Any, texts: dict[str, str]
) -> None:
    assert (await client.patch(f"{POEMS}/1", json={"title": title}, headers=GERMAN)).status_code == 200
    assert (await read_texts(app))["title"] == texts


@pytest.mark.database("sqlite", "postgresql")
async def test_related_rows_have_titles_in_current_language(app: FastAPI, client: AsyncClient, poem: Poem) -> None:
    await add_rows(app, Verse(poem_id=2, text="*Squeak*"), Verse(poem_id=1))
    found = (await client.get("/api/v1/verses?sort=poem.title", headers=GERMAN)).json()["items"]
    assert [row["poem"] for row in found] == [{"id": 1, "title": "Adler"}, {"id": 2, "title": "Mouse"}]
    assert (await client.get("/api/v1/verses?q=adler", headers=GERMAN)).json()["total"] == 1
