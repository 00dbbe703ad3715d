"""Time zones of visitors, which browsers send in a cookie. Stored times are in UTC."""

import re
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape
from starlette.types import Scope

from opportune.config.settings import Settings
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_clock, format_day, format_moment
from opportune.web.cookies import take_cookie

COOKIE_PREFIX = b"time_zone="
MAX_CACHED_ZONES = 600
"""About the number of existing zones."""
SECOND_TIME_SUFFIX = " again"
"""Suffix of a zone name for the second of two equal local times, which exist when clocks are set back."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?P<time>[T ][0-9]{2}:|$)")
SKIPPED_TIME = _l("This time does not exist because clocks are set forward. Please choose another.")
YEAR_OUT_OF_RANGE = _l("Please enter a year from 2 to 9998.")

current_zone: ContextVar[tzinfo] = ContextVar("current_zone", default=UTC)
"""Zone of the visitor, or else of the site. UTC outside of requests and e-mails."""


@lru_cache(MAX_CACHED_ZONES)
def find_zone(name: str) -> "ZoneInfo | None":
    """Return the zone with a name such as Europe/Vienna, or None if it does not exist."""
    if not NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # not a zone file
        return None


def site_zone(settings: Settings) -> tzinfo:
    """Return the zone of `TIME_ZONE`, for code without a visitor."""
    return UTC if settings.time_zone == "UTC" else find_zone(settings.time_zone) or UTC


def zone_name(moment: datetime) -> str:
    """Return the zone name of a local time for a form, with a suffix for the second of two equal times."""
    is_second = moment.fold and moment.utcoffset() != moment.replace(fold=0).utcoffset()
    return str(moment.tzinfo) + (SECOND_TIME_SUFFIX if is_second else "")


def local(moment: datetime) -> datetime:
    """Convert a time to the visitor's zone. Times without a zone are in UTC.

    Times at the ends of the calendar, such as 9999-12-31, stay in UTC if the zone has no such day.
    """
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(current_zone.get())
    except OverflowError:
        return in_utc(moment)


def parse_zone_name(text: object) -> str:
    """Return the text of `zone_name` from a form, or an empty string if it is not a zone."""
    if not isinstance(text, str):
        return ""
    name = text.removesuffix(SECOND_TIME_SUFFIX)
    return text if find_zone(name) else ""


def zone_of(name: str) -> tzinfo:
    """Return the zone of a `zone_name`, or the visitor's zone if it is empty."""
    return find_zone(name.removesuffix(SECOND_TIME_SUFFIX)) or current_zone.get()


def to_utc(moment: datetime, zone: str = "") -> datetime:
    """Convert a local time to UTC.

    Args:
        moment: Local time without a zone.
        zone: Zone name from `zone_name`, which also selects one of two equal times. Empty: the visitor's zone.

    Raises:
        ValueError: Clocks skip this time, or it is out of range. The message is for users.
    """
    local_zone = zone_of(zone)
    local_moment = moment.replace(tzinfo=local_zone, fold=int(zone.endswith(SECOND_TIME_SUFFIX)))
    result = in_utc(local_moment)
    if result.astimezone(local_zone).replace(tzinfo=None, fold=0) != local_moment.replace(tzinfo=None, fold=0):
        raise ValueError(SKIPPED_TIME)
    return result


def start_of_day(day: date) -> datetime:
    """Return the first moment of a day in the current time zone, also where clocks skip midnight.

    Raises:
        ValueError: The year is out of range.
    """
    return in_utc(datetime.combine(day, time(), current_zone.get()))


def local_day_precision(first: datetime, last: datetime) -> int:
    """Return how many characters of a UTC time, such as `2026-11-03 08:30`, decide its local day.

    That is up to the hour, ten minutes or the minute, by the offsets of the zone in these years, such as +05:30.
    """
    years = range(first.year, last.year + 1)
    offsets = (local(datetime(year, month, 1, tzinfo=UTC)).utcoffset() for year in years for month in (1, 7))
    minutes = [offset.total_seconds() / 60 for offset in offsets if offset]
    if all(number % 60 == 0 for number in minutes):
        return 13
    return 15 if all(number % 10 == 0 for number in minutes) else 16


def in_utc(moment: datetime) -> datetime:
    """Convert a time with a zone to UTC.

    Raises:
        ValueError: UTC has no such year. The message is for users.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(YEAR_OUT_OF_RANGE) from None


def format_date(day: date | None) -> str:
    """Format a day, or the day of a time in the visitor's zone: `{{ member.birthday | date }}` is 3 Nov 2026."""
    if not day:
        return ""
    return format_day(local(day) if isinstance(day, datetime) else day)


def format_datetime(moment: datetime | None) -> str:
    """Format a time in the visitor's zone: 3 Nov 2026, 10:05 CET."""
    return format_moment(local(moment)) if moment else ""


def format_iso(text: str) -> str:
    """Format a text that is a date or time such as 2026-12-31T18:30:00Z. Return all other texts unchanged."""
    if not (match := ISO.match(text)):
        return text
    try:
        moment = datetime.fromisoformat(text)
        if not match["time"]:
            return format_day(moment)
        return format_datetime(moment) if moment.tzinfo else f"{format_day(moment)}, {format_clock(moment)}"
    except ValueError:  # there is no such day
        return text


def format_local_clock(moment: datetime, *, with_zone: bool = False) -> str:
    """Format the time of day in the visitor's zone: 10:05, or 10:05 CET."""
    return format_clock(local(moment), with_zone=with_zone)


def format_time(moment: datetime | None) -> str:
    """Return a formatted time in a `<time>` element: `{{ book.created_at | time }}`."""
    if not moment:
        return ""
    moment = local(moment)
    text = "\N{NO-BREAK SPACE}".join(format_moment(moment).rsplit(" ", 1))  # a line does not begin with the zone
    return Markup(f'<time datetime="{moment.isoformat()}">{escape(text)}</time>')  # noqa: S704 - escaped; `%` is slower


def zone_of_request(scope: Scope) -> "tuple[Scope, ZoneInfo | None]":
    """Return the scope without the time zone cookie, and the zone in it."""
    scope, name = take_cookie(scope, COOKIE_PREFIX)
    return scope, find_zone(name) if name else None
