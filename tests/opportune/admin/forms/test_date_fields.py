"""Date and time fields of the admin without a browser."""

from datetime import UTC, date, datetime, time
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import FormData
from wtforms.validators import Optional  # type: ignore[import-untyped]  # has no types

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.date_fields import (
    NativeDateField,
    NativeDateTimeField,
    NativeTimeField,
    ZonedDateTimeField,
)


class Appointment(AdminForm):
    day = NativeDateField(validators=[Optional()])
    clock = NativeTimeField(validators=[Optional()])
    naive_at = NativeDateTimeField(validators=[Optional()])
    zoned_at = ZonedDateTimeField(validators=[Optional()])
    german_day = NativeDateField(validators=[Optional()], format="%d.%m.%Y")


STORED: dict[str, Any] = {
    "day": date(2026, 12, 2),
    "clock": time(16, 0, 5, 250),
    "naive_at": datetime.fromisoformat("2026-12-02T16:00:05.000250"),
    "zoned_at": datetime(2026, 12, 2, 16, 0, 5, 250, tzinfo=UTC),
}


def submitted(**texts: str) -> AdminForm:
    form = Appointment(FormData(texts))
    form.validate()
    return form


def test_inputs_are_native_and_end_with_the_year_9999() -> None:
    form = Appointment()
    html = [str(form[name]()) for name in STORED]
    for part, tag in zip(('type="date"', 'type="time"', *['type="datetime-local"'] * 2), html, strict=True):
        assert part in tag
    assert ['max="9999-12-31' in tag for tag in html] == [True, False, True, True]


def test_stored_values_are_shown_with_their_seconds() -> None:
    form = Appointment(obj=SimpleNamespace(**STORED))
    html = [str(form[name]()) for name in ("clock", "naive_at", "zoned_at")]
    for value, tag in zip(("16:00:05", *["2026-12-02T16:00:05"] * 2), html, strict=True):
        assert f'value="{value}"' in tag
        assert 'step="1"' in tag, "the seconds can be edited"


def test_unchanged_texts_keep_fractions_of_a_second() -> None:
    form = Appointment(obj=SimpleNamespace(**STORED))
    texts = {name: form[name]._value() for name in STORED} | {"zoned_at.zone": "UTC"}
    again = Appointment(FormData(texts), obj=SimpleNamespace(**STORED))
    assert again.validate()
    assert {name: again[name].data for name in STORED} == STORED


def test_another_zone_with_the_same_text_is_another_time() -> None:
    sent = FormData({"zoned_at": "2026-12-02T16:00:05", "zoned_at.zone": "Asia/Tokyo"})
    form = Appointment(sent, obj=SimpleNamespace(**STORED))
    assert form["zoned_at"].data == datetime(2026, 12, 2, 7, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-12-02T16:00", "2026-12-02T16:00:00", "2026-12-02 16:00", "2026-12-02 16:00:00"])
def test_datetimes_are_read_as_browsers_and_files_write_them(text: str) -> None:
    form = submitted(naive_at=text, zoned_at=text)
    assert form["naive_at"].data == datetime.fromisoformat("2026-12-02T16:00")
    assert form["zoned_at"].data == datetime(2026, 12, 2, 16, tzinfo=UTC)


def test_a_format_of_the_owner_is_read_as_well() -> None:
    assert submitted(german_day="02.12.2026")["german_day"].data == date(2026, 12, 2)
    assert submitted(german_day="2026-12-02")["german_day"].data == date(2026, 12, 2)


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("text", ["02.12.2026 16:00", "12/02/2026 04:00 PM", "2026-02-30T16:00", "2026-12", "soon"])
def test_unreadable_texts_are_refused_and_stay_in_the_field(name: str, text: str) -> None:
    form = submitted(**{name: text})
    assert form.errors[name]
    assert form[name]._value() == text


def test_an_empty_field_is_empty() -> None:
    form = submitted(**dict.fromkeys(STORED, ""))
    assert not form.errors
    assert [form[name].data for name in STORED] == [None] * 4
