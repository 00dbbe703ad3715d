"""Date and time fields of the admin without a browser."""

from datetime import UTC, date, datetime, time
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqladmin.forms import get_model_form
from sqlalchemy import DateTime
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.datastructures import FormData

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.edit_conflicts import find_changed_fields, hash_values, is_edited
from opportune.admin.forms.model_fields import AdminConverter
from opportune.web.time_zone import current_zone

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class Appointment(Base):
    __tablename__ = "test_appointment"

    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[date | None]
    clock: Mapped[time | None]
    naive_at: Mapped[datetime | None]
    zoned_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    german_day: Mapped[date | None]


@pytest.fixture
async def form_class() -> type[AdminForm]:
    form: type[AdminForm] = await get_model_form(
        Appointment,
        async_sessionmaker(),
        form_args={"german_day": {"format": "%d.%m.%Y"}},
        form_class=AdminForm,
        form_converter=AdminConverter,
    )
    return form


STORED: dict[str, Any] = {
    "day": date(2026, 12, 2),
    "clock": time(16, 0, 5, 250),
    "naive_at": datetime.fromisoformat("2026-12-02T16:00:05.000250"),
    "zoned_at": datetime(2026, 12, 2, 16, 0, 5, 250, tzinfo=UTC),
}


def submit_form(form_class: type[AdminForm], **texts: str) -> AdminForm:
    form = form_class(FormData(texts))
    form.validate()
    return form


def test_inputs_are_native_and_end_with_the_year_9999(form_class: type[AdminForm]) -> None:
    form = form_class()
    html = [str(form[name]()) for name in STORED]
    for part, tag in zip(('type="date"', 'type="time"', *['type="datetime-local"'] * 2), html, strict=True):
        assert part in tag
    assert ['max="9999-12-31' in tag for tag in html] == [True, False, True, True]


def test_stored_values_are_shown_with_their_seconds(form_class: type[AdminForm]) -> None:
    form = form_class(obj=SimpleNamespace(**STORED))
    html = [str(form[name]()) for name in ("clock", "naive_at", "zoned_at")]
    for value, tag in zip(("16:00:05", *["2026-12-02T16:00:05"] * 2), html, strict=True):
        assert f'value="{value}"' in tag
        assert 'step="1"' in tag, "the seconds can be edited"


def test_unchanged_texts_keep_fractions_of_a_second(form_class: type[AdminForm]) -> None:
    form = form_class(obj=SimpleNamespace(**STORED))
    texts = {name: form[name].text for name in STORED} | {"zoned_at.zone": "UTC"}
    unchanged = form_class(FormData(texts), obj=SimpleNamespace(**STORED))
    assert unchanged.validate()
    assert {name: unchanged[name].data for name in STORED} == STORED


def test_another_zone_with_the_same_text_is_another_time(form_class: type[AdminForm]) -> None:
    form_data = FormData({"zoned_at": "2026-12-02T16:00:05", "zoned_at.zone": "Asia/Tokyo"})
    form = form_class(form_data, obj=SimpleNamespace(**STORED))
    assert form["zoned_at"].data == datetime(2026, 12, 2, 7, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-12-02T16:00", "2026-12-02T16:00:00", "2026-12-02 16:00", "2026-12-02 16:00:00"])
def test_datetimes_of_browsers_and_files_are_read(form_class: type[AdminForm], text: str) -> None:
    form = submit_form(form_class, naive_at=text, zoned_at=text, german_day="02.12.2026")
    assert form["naive_at"].data == datetime.fromisoformat("2026-12-02T16:00")
    assert form["zoned_at"].data == datetime(2026, 12, 2, 16, tzinfo=UTC)
    assert form["german_day"].data == date(2026, 12, 2)


@pytest.mark.parametrize("text", ["02.12.2026 16:00", "12/02/2026 04:00 PM", "2026-02-30T16:00", "2026-12", "soon", ""])
def test_unreadable_text_is_refused_and_shown(form_class: type[AdminForm], text: str) -> None:
    form = submit_form(form_class, **dict.fromkeys(STORED, text))
    assert {*form.errors} == ({*STORED} if text else set())
    assert [form[name].text for name in STORED] == [text] * 4
    assert [form[name].data for name in STORED] == [None] * 4


def test_hashes_of_times_do_not_depend_on_the_time_zone(form_class: type[AdminForm]) -> None:
    seen = hash_values(form_class(data=STORED))
    token = current_zone.set(ZoneInfo("Asia/Tokyo"))
    try:
        stored = form_class(data=STORED)
        texts = {"day": "2026-12-02", "clock": "16:00:05", "naive_at": "2026-12-02T16:00:05"}
        form = form_class(FormData(texts | {"zoned_at": "2026-12-02T16:00:05", "zoned_at.zone": "UTC"}), data=STORED)
        assert find_changed_fields(form, stored, seen) == {}
        assert not is_edited(form, seen)
    finally:
        current_zone.reset(token)
