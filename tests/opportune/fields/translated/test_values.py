"""Translated texts: their values, validation, and queries."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy import Column, MetaData, Table, select

from opportune.config.settings import get_settings, using_settings
from opportune.contrib.dumps.dump import dump
from opportune.contrib.dumps.load import load
from opportune.contrib.dumps.rows import DumpedObject
from opportune.db.migrations.connection import connect
from opportune.db.models.model import NAMING_CONVENTION
from opportune.db.models.translated import TranslatedColumn
from opportune.errors import OperatorError
from opportune.fields import TranslatedText, texts_of
from opportune.i18n import use_language
from tests.opportune.fields.translated.conftest import read_texts
from tests.opportune.fields.translated.poems_feature import Poem

TEXT = TranslatedText({"de": "Adler", "en": "Eagle"})


@pytest.fixture(autouse=True)
def languages() -> Iterator[None]:
    changes = {"language": "en", "languages": ["de", "en", "ar"]}
    with using_settings(get_settings().model_copy(update=changes)):
        yield


@pytest.mark.parametrize(("language", "text"), [("de", "Adler"), ("en", "Eagle"), ("ar", "Eagle"), ("fr", "Eagle")])
def test_text_reads_in_current_or_site_language(language: str, text: str) -> None:
    with use_language(language):
        assert (str(TEXT), f"{TEXT}", str(TEXT.__html__())) == (text, text, text)
    assert TranslatedText("<b>").__html__() == "&lt;b&gt;"


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("texts", "text"),
    [({"ar": "", "de": "Adler"}, "Adler"), ({"ar": "نسر", "de": "Adler"}, "Adler"), ({"fr": "Aigle"}, "")],
)
async def test_text_falls_back_like_queries(app: FastAPI, texts: dict[str, str], text: str) -> None:
    assert str(TranslatedText(texts)) == text
    title: Any = Poem.title
    async with app.state.database.writer() as session:
        session.add(Poem(title=TranslatedText(texts)))
        await session.flush()
        assert await session.scalar(select(Poem).where(title == text))


def test_texts_replace_those_of_their_languages() -> None:
    poem = Poem(title="Eagle")
    with use_language("de"):
        poem.title = "Adler"
    assert texts_of(poem.title) == {"en": "Eagle", "de": "Adler"}
    poem = Poem(title=TranslatedText({"en": "Eagle", "de": "Adler", "fr": "Aigle"}))
    poem.title = TranslatedText({"en": "Hawk"})
    assert texts_of(poem.title) == {"en": "Hawk", "fr": "Aigle"}


@pytest.mark.parametrize(
    ("value", "location", "message"),
    [
        ({"en": "Eagle", "xx": "Éàgle"}, ("title",), "This site has no language xx. It has: en, de, ar."),
        ({"en": "Eagle", "de": "A" * 21}, ("title", "de"), "at most 20"),
        ({"en": "Two\nlines"}, ("title", "en"), "pattern"),
        ({"de": "Adler"}, ("title", "en"), "required"),
        ({"en": 3}, ("title", "en"), "string"),
    ],
)
def test_invalid_texts_are_refused(value: Any, location: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Poem.model_validate({"title": value})
    (details,) = error.value.errors()
    assert details["loc"] == location
    assert message in details["msg"]


@pytest.mark.database("sqlite", "postgresql")
async def test_change_of_one_language_is_stored(app: FastAPI, poem: Poem) -> None:
    async with app.state.database.writer() as session:
        with use_language("ar"):
            (await session.get_one(Poem, poem.id)).title = "نسر"
    assert (await read_texts(app))["title"] == {"en": "Zebra", "de": "Adler", "ar": "نسر"}


@pytest.mark.database("sqlite", "postgresql")
async def test_queries_use_text_in_current_language(app: FastAPI, poem: Poem) -> None:
    title: Any = Poem.title
    by_title = select(title).order_by(title.asc())
    async with app.state.database.reader() as session:
        with use_language("de"):
            assert [*map(str, await session.scalars(by_title))] == ["Adler", "Mouse"]
            assert await session.scalar(select(Poem).where(title == "Adler"))
        with use_language("ar"):
            assert [*map(str, await session.scalars(by_title))] == ["Mouse", "Zebra"]
            assert not await session.scalar(select(Poem).where(title == "Adler"))


@pytest.mark.database("sqlite", "postgresql")
async def test_queries_compare_two_fields(app: FastAPI, poem: Poem) -> None:
    title: Any = Poem.title
    assert {Poem.metadata.tables["test_poem"].columns.title: 1}[title.expression] == 1  # as in SQLAlchemy
    async with app.state.database.writer() as session:
        (await session.get_one(Poem, 2)).about = "Mouse"
        await session.flush()
        rows = await session.scalars(select(Poem).where(title == Poem.about))
        assert [row.id for row in rows] == [2]


async def test_fixture_keeps_all_languages(app: FastAPI, poem: Poem) -> None:
    tables = {"poem": Poem.metadata.tables["test_poem"]}
    with connect(app.state.settings) as connection:
        rows = json.loads(b"".join(dump(connection, tables)))
    assert rows[0]["fields"]["title"] == {"en": "Zebra", "de": "Adler"}
    with connect(app.state.settings) as connection, connection.begin():
        load(connection, tables, [Poem], [DumpedObject(str(row["pk"]), row) for row in rows])
        titles = connection.scalars(select(tables["poem"].columns.title))
        assert [*map(texts_of, sorted(titles))] == [{"en": "Mouse"}, {"en": "Zebra", "de": "Adler"}]


@pytest.mark.parametrize("option", ["unique", "index"])
def test_index_of_translated_field_is_refused(option: str) -> None:
    column: Column[str] = Column("title", TranslatedColumn(), **{option: True})  # type: ignore[arg-type]  # an option
    with pytest.raises(OperatorError, match=r"^test_song.title is translated"):
        Table("test_song", MetaData(naming_convention=NAMING_CONVENTION), column)
