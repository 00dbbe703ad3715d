"""Translated texts in the API."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests.opportune.fields.translated.conftest import GERMAN, read_texts
from tests.opportune.fields.translated.poems_feature import Poem, Verse

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
    response = await client.patch(f"{POEMS}/1", json={"title": title}, headers=GERMAN)
    assert response.status_code == 200
    assert (await read_texts(app))["title"] == texts


@pytest.mark.database("sqlite", "postgresql")
async def test_related_rows_have_titles_in_current_language(app: FastAPI, client: AsyncClient, poem: Poem) -> None:
    async with app.state.database.writer() as session:
        session.add_all([Verse(poem_id=2, text="*Squeak*"), Verse(poem_id=1)])
    found = (await client.get("/api/v1/verses?sort=poem.title", headers=GERMAN)).json()["items"]
    assert [row["poem"] for row in found] == [{"id": 1, "title": "Adler"}, {"id": 2, "title": "Mouse"}]
    assert (await client.get("/api/v1/verses?q=adler", headers=GERMAN)).json()["total"] == 1
