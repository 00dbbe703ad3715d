"""Translated texts: their values, validation, and queries."""

import copy
import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ValidationError
from sqlalchemy import Column, MetaData, String, Table, func, select
from sqlmodel import Field

from opportune.config.settings import get_settings, using_settings
from opportune.contrib.dumps.dump import dump
from opportune.contrib.dumps.load import load
from opportune.contrib.dumps.rows import FixtureObject
from opportune.db.migrations.connection import connect
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.db.models.translated import TranslatedColumn, current_text
from opportune.errors import OperatorError
from opportune.fields import Line, Translated, TranslatedText, texts_of
from opportune.i18n import use_language
from opportune.testing import Make
from opportune.web.forms.controls import Field as FormField
from opportune.web.forms.translations import translation_fields
from tests.opportune.fields.translated.conftest import read_texts
from tests.opportune.fields.translated.poems_feature import Poem

pytestmark = pytest.mark.database("sqlite", "postgresql")

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


async def test_queries_group_by_text(app: FastAPI, poem: Poem) -> None:
    title: Any = Poem.title
    text = current_text(title)
    async with app.state.database.reader() as session:
        with use_language("de"):
            counts = await session.execute(select(text, func.count()).group_by(text).order_by(text))
            assert [*map(tuple, counts)] == [("Adler", 1), ("Mouse", 1)]


def test_text_of_one_language() -> None:
    assert (TEXT["de"], TEXT["ar"], texts_of(TEXT)) == ("Adler", "", {"de": "Adler", "en": "Eagle"})


def test_copy_keeps_all_languages() -> None:
    assert copy.deepcopy(TEXT) == TEXT != TranslatedText({"en": "Eagle"})


def test_hash_is_the_same_in_all_languages() -> None:
    with use_language("de"):
        created_in_german = TranslatedText({"en": "Eagle", "de": "Adler"})
        hash_in_german = hash(TEXT)
    assert hash(created_in_german) == hash(TEXT) == hash_in_german
    assert {TEXT: "a bird"}[created_in_german] == "a bird"


def test_plain_string_replaces_text_in_current_language() -> None:
    poem = Poem(title="Eagle")
    with use_language("de"):
        poem.title = "Adler"
    assert texts_of(poem.title) == {"en": "Eagle", "de": "Adler"}


def test_texts_replace_all_languages_of_the_site() -> None:
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
        ({"en": " "}, ("title", "en"), "required"),
        ({"en": 3}, ("title", "en"), "string"),
        ("", ("title", "en"), "required"),
        (["Eagle"], ("title",), "string"),
    ],
)
def test_invalid_texts_are_refused(value: Any, location: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Poem.model_validate({"title": value})
    (details,) = error.value.errors()
    assert details["loc"] == location
    assert message in details["msg"]


async def test_change_of_one_language_is_stored(app: FastAPI, poem: Poem) -> None:
    async with app.state.database.writer() as session:
        with use_language("ar"):
            (await session.get_one(Poem, poem.id)).title = "نسر"
    assert (await read_texts(app))["title"] == {"en": "Zebra", "de": "Adler", "ar": "نسر"}


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


async def test_queries_use_text_of_one_language(app: FastAPI, poem: Poem) -> None:
    title: Any = Poem.title
    async with app.state.database.reader() as session:
        assert await session.scalar(select(title["de"]).where(title["de"].is_not(None))) == "Adler"


async def test_queries_compare_two_fields(app: FastAPI, poem: Poem) -> None:
    title: Any = Poem.title
    column = Poem.metadata.tables["test_poem"].columns.title
    assert {column: 1}[title.expression] == 1  # as in SQLAlchemy
    async with app.state.database.writer() as session:
        (await session.get_one(Poem, 2)).about = "Mouse"
        await session.flush()
        rows = await session.scalars(select(Poem).where(title == Poem.about))
        assert [row.id for row in rows] == [2]


async def test_column_can_have_the_name_language(app: FastAPI) -> None:
    table = Table("test_novel", MetaData(), Column("title", TranslatedColumn()), Column("language", String()))
    async with app.state.database.writer() as session:
        await (await session.connection()).run_sync(table.create)
        await session.execute(table.insert().values(title="Emma", language="en"))
        await session.execute(table.update().where(table.c.title == "Emma").values(language="de"))
        assert (await session.scalars(select(table.c.language))).all() == ["de"]


async def test_missing_value_is_null(app: FastAPI, poem: Poem) -> None:
    note: Any = Poem.note
    async with app.state.database.reader() as session:
        assert len([*await session.scalars(select(Poem).where(note.is_(None)))]) == 2


async def test_factory_generates_text(app: FastAPI) -> None:
    poem = await Make(app.state.database)(Poem)
    assert list(texts_of(poem.title)) == ["en"]


def test_search_index_refuses_translated_column() -> None:
    with pytest.raises(OperatorError, match=r"Draft.search_index: 'title' is translated"):

        class Draft(Model, table=True):
            metadata = MetaData(naming_convention=NAMING_CONVENTION)
            __tablename__ = "test_draft"
            search_index = ("title",)

            title: Translated[Line]


async def test_fixture_keeps_all_languages(app: FastAPI, poem: Poem) -> None:
    tables = {"poem": Poem.metadata.tables["test_poem"]}
    with connect(app.state.settings) as connection:
        rows = json.loads(b"".join(dump(connection, tables)))
    assert rows[0]["fields"]["title"] == {"en": "Zebra", "de": "Adler"}
    with connect(app.state.settings) as connection, connection.begin():
        load(connection, tables, [Poem], [FixtureObject(str(row["pk"]), row) for row in rows])
        titles = connection.scalars(select(tables["poem"].columns.title))
        assert [*map(texts_of, sorted(titles))] == [{"en": "Mouse"}, {"en": "Zebra", "de": "Adler"}]


@pytest.mark.parametrize("option", ["unique", "index"])
def test_index_of_translated_field_is_refused(option: str) -> None:
    column: Column[str] = Column("title", TranslatedColumn(), **{option: True})  # type: ignore[arg-type]  # an option
    with pytest.raises(OperatorError, match=r"^test_song.title is translated"):
        Table("test_song", MetaData(naming_convention=NAMING_CONVENTION), column)


@pytest.mark.parametrize("field", ["title", "note"])
def test_handwritten_schema_limits_each_text(field: str) -> None:
    class SongChanges(BaseModel):
        title: Translated[Line] = Field(default="", max_length=5)
        note: Translated[Annotated[Line, Field(max_length=5)]] | None = None

    assert texts_of(getattr(SongChanges.model_validate({field: {"en": "Hawk"}}), field)) == {"en": "Hawk"}
    with pytest.raises(ValidationError, match=rf"{field}.de\n.*at most 5"):
        SongChanges.model_validate({field: {"en": "Hawk", "de": "Habicht"}})


@pytest.mark.parametrize(("languages", "names"), [(["en"], []), (["en", "de"], ["title.en", "title.de"])])
def test_field_has_an_input_for_each_of_several_languages(languages: list[str], names: list[str]) -> None:
    field = FormField("Title", "text", True, "", "", [], {}, {"id": "title"})
    with using_settings(get_settings().model_copy(update={"languages": languages})):
        inputs = translation_fields(field, "title", {}, {})
    assert [input_.attributes["name"] for input_ in inputs] == names
