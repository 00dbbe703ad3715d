"""Times that forms show without microseconds."""

from datetime import UTC, datetime, time

from starlette.datastructures import FormData

from opportune.schemas import Schema
from opportune.web.forms.forms import Form


class Slot(Schema):
    begins: time
    at: datetime


async def test_unchanged_times_keep_their_microseconds() -> None:
    row = Slot(begins=time(1, 2, 3, 4), at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC))
    form = Form(Slot, row)
    await form.fill(FormData({"begins": "01:02:03", "at": str(form.values["at"])}))
    assert form.data == row


async def test_changed_time_is_the_submitted_one() -> None:
    form = Form(Slot, Slot(begins=time(1, 2, 3, 4), at=datetime(2026, 1, 2, tzinfo=UTC)))
    await form.fill(FormData({"begins": "01:02:04", "at": str(form.values["at"])}))
    assert form.data
    assert form.data.begins == time(1, 2, 4)
