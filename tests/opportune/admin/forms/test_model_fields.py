"""Form fields of columns: dates and times, texts, unusual types, and the formats of the user's language."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from types import SimpleNamespace
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from sqladmin.forms import get_model_form
from sqlalchemy import JSON, Column, DateTime, Integer, Interval, MetaData, Uuid
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, declarative_base, mapped_column
from sqlmodel import Field
from starlette.datastructures import FormData

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, add_refusal
from opportune.admin.forms.edit_conflicts import find_changed_fields, hash_values, is_edited
from opportune.admin.forms.field_converter import AdminConverter
from opportune.admin.forms.model_fields import find_choice
from opportune.db.models.model import Model
from opportune.fields import Money, money_field
from opportune.i18n import use_language
from opportune.web.time_zone import current_zone

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase): ...


class Appointment(Base):
    __tablename__ = "test_appointment"

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date | None]
    clock: Mapped[time | None]
    naive_at: Mapped[datetime | None]
    zoned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    german_day: Mapped[date | None]


class Offer(Model, table=True):
    __tablename__ = "test_offer"
    metadata = MetaData()

    price: Money = money_field("EUR", Decimal(1))
    copies: int = 1
    day: date | None = None
    starts_at: datetime | None = None


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


FORMATS = {"german_day": {"format": "%d.%m.%Y"}, "clock": {"format": "%H.%M"}}


async def make_form_class(model: type[Any]) -> type[AdminForm]:
    form: type[AdminForm] = await get_model_form(
        model, async_sessionmaker(), form_args=FORMATS, form_class=AdminForm, form_converter=AdminConverter
    )
    return form


@pytest.fixture
async def appointment_form() -> type[AdminForm]:
    return await make_form_class(Appointment)


@pytest.fixture
async def offer_form() -> type[AdminForm]:
    return await make_form_class(Offer)


@pytest.fixture
async def unusual_form() -> type[AdminForm]:
    return await make_form_class(Unusual)


STORED: dict[str, Any] = {
    "day": date(2026, 12, 2),
    "clock": time(16, 0, 5, 250),
    "naive_at": datetime.fromisoformat("2026-12-02T16:00:05.000250"),
    "zoned_at": datetime(2026, 12, 2, 16, 0, 5, 250, tzinfo=UTC),
}


def submit_form(appointment_form: type[AdminForm], **texts: str) -> AdminForm:
    form = appointment_form(FormData(texts))
    form.validate()
    return form


def test_unchanged_texts_keep_fractions_of_a_second(appointment_form: type[AdminForm]) -> None:
    form = appointment_form(obj=SimpleNamespace(**STORED))
    texts = {name: form[name].text for name in STORED} | {"zoned_at.zone": "UTC"}
    unchanged = appointment_form(FormData(texts), obj=SimpleNamespace(**STORED))
    assert unchanged.validate()
    assert {name: unchanged[name].data for name in STORED} == STORED


def test_another_zone_with_the_same_text_is_another_time(appointment_form: type[AdminForm]) -> None:
    form_data = FormData({"zoned_at": "2026-12-02T16:00:05", "zoned_at.zone": "Asia/Tokyo"})
    form = appointment_form(form_data, obj=SimpleNamespace(**STORED))
    assert form["zoned_at"].data == datetime(2026, 12, 2, 7, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-12-02T16:00", "2026-12-02 16:00:00"])
def test_datetimes_of_browsers_and_files_are_read(appointment_form: type[AdminForm], text: str) -> None:
    form = submit_form(appointment_form, naive_at=text, zoned_at=text, german_day="02.12.2026", clock="16.30")
    assert form["naive_at"].data == datetime.fromisoformat("2026-12-02T16:00")
    assert form["zoned_at"].data == datetime(2026, 12, 2, 16, tzinfo=UTC)
    assert (form["german_day"].data, form["clock"].data) == (date(2026, 12, 2), time(16, 30))


@pytest.mark.parametrize("text", ["02.12.2026 16:00", "2026-02-30T16:00", "soon", ""])
def test_unreadable_text_is_refused_and_shown(appointment_form: type[AdminForm], text: str) -> None:
    form = submit_form(appointment_form, **dict.fromkeys(STORED, text))
    assert {*form.errors} == ({*STORED} if text else set())
    assert [form[name].text for name in STORED] == [text] * 4
    assert [form[name].data for name in STORED] == [None] * 4


def test_hashes_of_times_do_not_depend_on_the_time_zone(appointment_form: type[AdminForm]) -> None:
    seen = hash_values(appointment_form(data=STORED))
    token = current_zone.set(ZoneInfo("Asia/Tokyo"))
    try:
        stored = appointment_form(data=STORED)
        texts = {"day": "2026-12-02", "clock": "16:00:05", "naive_at": "2026-12-02T16:00:05"}
        texts |= {"zoned_at": "2026-12-02T16:00:05", "zoned_at.zone": "UTC"}
        form = appointment_form(FormData(texts), data=STORED)
        assert find_changed_fields(form, stored, seen) == {}
        assert not is_edited(form, seen)
    finally:
        current_zone.reset(token)


GERMAN = {"price": "1.234,56", "copies": "1.000", "day": "31.12.2026", "starts_at": "31.12.2026, 18:30"}


def test_formats_of_language_are_read(offer_form: type[AdminForm]) -> None:
    with use_language("de"):
        form = offer_form(FormData(GERMAN))
        assert form.validate(), form.errors
    values: dict[str, Any] = {name: form[name].data for name in ("price", "copies", "day")}
    assert values == {"price": Decimal("1234.56"), "copies": 1000, "day": date(2026, 12, 31)}
    assert form["starts_at"].data.replace(tzinfo=None) == datetime.fromisoformat("2026-12-31T18:30")


def test_invalid_text_is_shown_unchanged(offer_form: type[AdminForm]) -> None:
    with use_language("de"):
        form = offer_form(FormData({"price": "1,2,3", "day": "31.2.2026"}))
        assert not form.validate()
        assert 'type="text" value="1,2,3"' in str(form["price"]())
        assert 'value="31.2.2026"' in str(form["day"]())
        add_refusal(form, ValidationRefused("This value is already in use.", "day"))
        assert form["day"].errors[-1] == "Dieser Wert wird bereits verwendet."


TEXTS_AND_VALUES: dict[str, tuple[str, Any]] = {
    "tags": ('["a", "b"]', ["a", "b"]),
    "span": ("1 day, 0:00:05", timedelta(days=1, seconds=5)),
    "level": ("2", Level.HIGH),
}


@pytest.mark.parametrize("name", TEXTS_AND_VALUES)
def test_text_becomes_a_value_of_the_column(unusual_form: type[AdminForm], name: str) -> None:
    text, value = TEXTS_AND_VALUES[name]
    form = unusual_form(FormData({name: text}))
    assert (form[name].errors, form[name].data) == ((), value)
    shown = unusual_form(data={name: value})[name].text
    assert unusual_form(FormData({name: shown}))[name].data == value


@pytest.mark.parametrize(("name", "text"), [("levels", "[9]"), ("level", "9"), ("size", "big")])
def test_value_outside_choices_is_refused(unusual_form: type[AdminForm], name: str, text: str) -> None:
    form = unusual_form(FormData({name: text}))
    assert not form.validate()
    assert form[name].errors


@pytest.mark.parametrize(
    ("type_", "text", "message_start"),
    [
        (Uuid(), "abc", "Please enter a UUID"),
        (JSON(), "[" * 100_000, "Please write this as JSON"),
        (Interval(), "9" * 12 + " days", "Please enter a span of time"),
    ],
)
async def test_invalid_value_has_a_readable_message(type_: Any, text: str, message_start: str) -> None:
    class SingleColumn(declarative_base()):  # type: ignore[misc]  # dynamic base class
        __tablename__ = "test_odd"
        id = Column(Integer, primary_key=True)
        value = Column(type_)

    form = (await make_form_class(SingleColumn))(FormData([("value", text)]))
    assert not form.validate()
    (message,) = form["value"].errors
    assert message.startswith(message_start)


@pytest.mark.parametrize(
    ("text", "choice"), [("m", "m"), ("MEGA", "M"), ("twice", "twice"), (" ", ""), ("No such", "No such")]
)
def test_choice_is_found_by_value_or_label(text: str, choice: str) -> None:
    choices = {"": "", "m": "Milli", "M": "Mega", "a": "Twice", "b": "Twice"}
    assert find_choice(choices, text) == choice
