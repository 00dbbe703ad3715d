"""`Make`: generated values, related rows and errors."""

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import AfterValidator, ValidationError
from sqlalchemy import select
from sqlmodel import Field, Relationship, col

from opportune.db import Database
from opportune.schemas.text import Line, Text
from opportune.testing import Make
from tests.opportune.stored_rows import read_all
from tests.opportune.tables import UnmigratedTable, make_tables


class Mood(StrEnum):
    GLAD = "glad"
    GRIM = "grim"


class Writer(UnmigratedTable, table=True):
    __tablename__ = "press_writer"

    name: Line = Field(max_length=100, unique=True)
    email: str = Field(max_length=100, unique=True)
    items: list["Story"] = Relationship(back_populates="writer")


class Story(UnmigratedTable, table=True):
    __tablename__ = "press_story"

    writer_id: int = Field(foreign_key="press_writer.id")
    editor_id: int | None = Field(default=None, foreign_key="press_writer.id")
    title: Line = Field(min_length=1, max_length=12, unique=True)
    body: Text
    code: str = Field(max_length=3, unique=True)
    price: Decimal = Field(ge=1, le=5, max_digits=5, decimal_places=2)
    stars: int = Field(gt=0, lt=3)
    printed_on: date
    mood: Mood
    is_long: bool
    subtitle: str = "None"
    writer: Writer = Relationship(back_populates="items")


def shelfmark(value: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}-\d{4}", value):
        raise ValueError("a shelfmark has two letters and 4 digits")
    return value


class Binding(UnmigratedTable, table=True):
    __tablename__ = "press_binding"

    mark: Annotated[str, AfterValidator(shelfmark)] = Field(max_length=7)


@pytest.fixture(autouse=True)
async def _tables(database: Database) -> None:
    await make_tables(database, Story, Binding)


async def test_values_follow_types_and_bounds(make: Make) -> None:
    story = await make(Story)
    assert 1 <= story.price <= 5
    assert 0 < story.stars < 3
    assert len(story.title) <= 12
    assert (story.mood, story.is_long, story.editor_id, story.subtitle) == (Mood.GLAD, False, None, "None")


async def test_required_foreign_key_gets_a_row(make: Make, database: Database) -> None:
    story = await make(Story)
    assert story.writer.id == story.writer_id
    assert await read_all(database, select(col(Writer.id))) == [story.writer_id]


async def test_unique_values_differ(make: Make) -> None:
    stories = await make.many(Story, 12, mood=Mood.GRIM)
    assert len({story.code for story in stories}) == 12
    assert {story.mood for story in stories} == {Mood.GRIM}
    assert "@" in stories[0].writer.email


async def test_invalid_value_is_refused(make: Make) -> None:
    with pytest.raises(ValidationError, match="title"):
        await make(Story, title="")


async def test_unknown_value_is_named_in_the_error(make: Make) -> None:
    with pytest.raises(ValueError, match=r"Binding\.mark \(.*4 digits\)\. Pass one"):
        await make(Binding)
    assert (await make(Binding, mark="PR-4034")).mark == "PR-4034"
