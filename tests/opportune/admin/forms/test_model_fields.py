"""Form fields for columns of unusual types."""

from datetime import date, timedelta
from enum import IntEnum
from typing import Any, Literal

import pytest
from sqladmin.forms import get_model_form
from sqlalchemy import JSON, Column, Integer, Interval, MetaData
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel import Field
from starlette.datastructures import FormData

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.model_fields import AdminConverter
from opportune.db.models.model import Model

pytestmark = pytest.mark.anyio


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Unusual(Model, table=True):
    __tablename__ = "test_unusual"
    metadata = MetaData()

    tags: list[str] = Field(default_factory=list, sa_column=Column(JSON))
    levels: list[Level] = Field(default_factory=list, sa_column=Column(JSON))
    raw: bytes | None = None
    span: timedelta | None = Field(default=None, sa_column=Column(Interval))
    level: Level = Field(default=Level.LOW, sa_column=Column(Integer))
    size: Literal[1, 2] = Field(default=1, sa_column=Column(Integer))
    is_sold: bool | None = None
    day: date | None = None


@pytest.fixture
async def form_class() -> type[AdminForm]:
    form: type[AdminForm] = await get_model_form(
        Unusual, async_sessionmaker(), form_class=AdminForm, form_converter=AdminConverter
    )
    return form


TEXTS_AND_VALUES: dict[str, tuple[str, Any]] = {
    "tags": ('["a", "b"]', ["a", "b"]),
    "levels": ("[2]", [Level.HIGH]),
    "span": ("1 day, 0:00:05", timedelta(days=1, seconds=5)),
    "level": ("2", Level.HIGH),
    "size": ("2", 2),
    "is_sold": ("true", True),
}


@pytest.mark.parametrize("name", TEXTS_AND_VALUES)
def test_text_becomes_a_value_of_the_column(form_class: type[AdminForm], name: str) -> None:
    text, value = TEXTS_AND_VALUES[name]
    form = form_class(FormData({name: text}))
    assert (form[name].errors, form[name].data) == ((), value)
    shown = form_class(data={name: value})[name].text
    assert form_class(FormData({name: shown}))[name].data == value


def test_unchanged_bytes_are_kept(form_class: type[AdminForm]) -> None:
    stored = {"raw": b"\xff\x00"}
    field = form_class(FormData({"raw": form_class(data=stored)["raw"].text}), data=stored)["raw"]
    assert field.data == stored["raw"]
    assert 'type="file"' not in str(field())


@pytest.mark.parametrize(("name", "text"), [("levels", "[9]"), ("level", "9"), ("size", "big")])
def test_value_outside_choices_is_refused(form_class: type[AdminForm], name: str, text: str) -> None:
    form = form_class(FormData({name: text}))
    assert not form.validate()
    assert form[name].errors


def test_number_is_refused_as_a_date(form_class: type[AdminForm]) -> None:
    form = form_class(FormData({"day": "1700000000"}))
    assert not form.validate()
    assert form["day"].errors == ["Please give a date, such as 2026-12-31."]
