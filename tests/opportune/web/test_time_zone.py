"""Times of pages, forms and e-mails. They are shown and read in the visitor's zone, and stored in UTC."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx2 import AsyncClient
from pydantic import BaseModel
from starlette.datastructures import FormData

from opportune.config.settings import Settings, load_settings
from opportune.errors import SettingsError
from opportune.feature import Feature
from opportune.mail import render_email
from opportune.testing.app import create_test_app
from opportune.web import Form, cached, format_datetime, read_form, templates, time_zone

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
VIENNA = {"Cookie": "time_zone=Europe/Vienna"}


class Meeting(BaseModel):
    starts_at: datetime | None = None


pages = APIRouter()


@pages.get("/noon")
async def show_noon_and_cookies(request: Request) -> Response:
    return Response(f"{format_datetime(NOON)} {request.headers.get('cookie')}")


@pages.get("/cached-noon")
@cached(60)
async def show_cached_noon() -> Response:
    return Response(format_datetime(NOON))


@pages.post("/meetings")
async def add_meeting(request: Request) -> Response:
    form = await read_form(request, Meeting)
    return Response(form.data.starts_at.isoformat() if form.data and form.data.starts_at else str(form.errors))


meetings = Feature("meetings", pages=pages)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_test_app(settings.model_copy(update={"time_zone": "Asia/Kolkata"}), [meetings])


@pytest.fixture
def vienna() -> Iterator[None]:
    token = time_zone.current_zone.set(ZoneInfo("Europe/Vienna"))
    yield
    time_zone.current_zone.reset(token)


TEXTS_BY_HEADERS: list[tuple[dict[str, str], str]] = [
    ({}, "1 Jul 2026, 17:30 IST None"),
    (VIENNA, "1 Jul 2026, 14:00 CEST None"),
    ({"Cookie": "a=1; time_zone=America/Sao_Paulo; b=2"}, "1 Jul 2026, 09:00 UTC-03 a=1; b=2"),
    ({"Cookie": "time_zone=../../etc/passwd"}, "1 Jul 2026, 17:30 IST None"),
    ({"Cookie": "my_time_zone=Europe/Vienna"}, "1 Jul 2026, 17:30 IST my_time_zone=Europe/Vienna"),
]


async def test_times_are_in_zone_of_browser_or_site_if_cached(client: AsyncClient) -> None:
    for headers, text in TEXTS_BY_HEADERS:
        assert (await client.get("/noon", headers=headers)).text == text, headers
    texts = [(await client.get("/cached-noon", headers=headers)).text for headers in (VIENNA, {}, VIENNA)]
    assert texts == ["1 Jul 2026, 17:30 IST"] * 3


def test_invalid_zone_is_ignored_and_refused_as_a_setting() -> None:
    for name in ("", "a" * 200, "Europe/../Vienna", "/etc/passwd", "Europe/Vienna\0", "Nowhere/There"):
        assert time_zone.find_zone(name) is None, name
    with pytest.raises(SettingsError, match="TIME_ZONE: must be the name of a time zone, such as Europe/Vienna"):
        load_settings(time_zone="Vienna")


def test_ends_of_the_calendar_stay_in_utc() -> None:
    moments = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    for zone in ("America/New_York", "Asia/Tokyo"):
        token = time_zone.current_zone.set(ZoneInfo(zone))
        assert [time_zone.local(moment) for moment in moments] == [*moments]
        time_zone.current_zone.reset(token)


async def test_form_times_are_read_in_its_zone(client: AsyncClient) -> None:
    for fields, expected in (
        ({"starts_at": "2026-07-01T14:00"}, "2026-07-01T12:00:00+00:00"),
        ({"starts_at": "2026-07-01T14:00", "starts_at.zone": "UTC"}, "2026-07-01T14:00:00+00:00"),
        ({"starts_at": "2026-07-01T14:00", "starts_at.zone": "Nowhere"}, "2026-07-01T12:00:00+00:00"),
        ({"starts_at": "2026-10-25T02:30"}, "2026-10-25T00:30:00+00:00"),
        ({"starts_at": "2026-10-25T02:30", "starts_at.zone": "Europe/Vienna again"}, "2026-10-25T01:30:00+00:00"),
        ({"starts_at": "0001-01-01T00:00+14:00"}, str({"starts_at": time_zone.YEAR_OUT_OF_RANGE})),
        ({"starts_at": "2026-03-29T02:30"}, str({"starts_at": time_zone.SKIPPED_TIME})),
        (
            {"starts_at": "9999-12-31T23:59", "starts_at.zone": "America/New_York"},
            str({"starts_at": time_zone.YEAR_OUT_OF_RANGE}),
        ),
    ):
        assert (await client.post("/meetings", data=fields, headers=VIENNA)).text == expected, fields


@pytest.mark.usefixtures("vienna")
@pytest.mark.parametrize("hour", [0, 1])
async def test_unchanged_time_is_stored_unchanged(hour: int) -> None:
    """This includes the repeated hour when clocks are set back."""
    moment = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
    field = Form(Meeting, Meeting(starts_at=moment)).field("starts_at")
    form = Form(Meeting)
    await form.fill(FormData([("starts_at", field.value), ("starts_at.zone", field.zone)]))
    assert form.data
    assert form.data.starts_at == moment


@pytest.mark.usefixtures("vienna")
def test_time_field_shows_and_sends_zone() -> None:
    source = '{% from "macros/forms.html" import field %}{{ field(form, "starts_at") }}'
    page = templates.environment.from_string(source).render(form=Form(Meeting, {"starts_at": NOON}))
    assert 'value="2026-07-01T14:00"' in page
    assert '<span class="input-group-text">Europe/Vienna</span>' in page
    assert '<input type="hidden" name="starts_at.zone" value="Europe/Vienna">' in page


@pytest.mark.usefixtures("vienna")
@pytest.mark.usefixtures("vienna")
async def test_time_of_another_zone_is_no_conflict() -> None:
    row = Meeting(starts_at=NOON)
    seen = Form(Meeting, row).seen
    sent = {"starts_at": "2026-07-02T09:00", "starts_at.zone": "Europe/Vienna", "(seen)": seen}
    time_zone.current_zone.set(ZoneInfo("America/New_York"))
    form = Form(Meeting, row)
    await form.fill(FormData(sent))
    assert (form.errors, form.data) == ({}, Meeting(starts_at=datetime(2026, 7, 2, 7, tzinfo=UTC)))


def test_email_times_are_in_zone_of_site(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    times: set[str] = set()

    def render(*_: object, **__: object) -> str:
        times.add(format_datetime(NOON))
        return "A word"

    monkeypatch.setattr("opportune.mail.email.render", render)
    render_email(settings, "ada@example.com", "test", {})
    assert times == {"1 Jul 2026, 12:00 UTC"}


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Europe/Vienna", date(2026, 3, 2), datetime(2026, 3, 1, 23, tzinfo=UTC)),
        ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, tzinfo=UTC)),  # clocks go from 00:00 to 01:00
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC)),  # clocks go from 01:00 to 00:00
    ],
)
def test_day_starts_at_its_first_moment(zone: str, day: date, start: datetime) -> None:
    token = time_zone.current_zone.set(ZoneInfo(zone))
    try:
        assert time_zone.start_of_day(day) == start
    finally:
        time_zone.current_zone.reset(token)
