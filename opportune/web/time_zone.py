"""Times of day as they are where somebody is: the browser tells its zone in a cookie, and what is stored is in UTC."""

import re
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from markupsafe import Markup
from starlette.types import Scope

from opportune.config.settings import Settings

COOKIE = b"time_zone="
MAX_KNOWN_ZONES = 600
"""Names of zones that are remembered; there are as many as that."""
SECOND_TIME = " again"
"""After the name of a zone: of the two times that a clock shows as one is set back, the second is meant."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{1,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SKIPPED = "There is no such time: clocks are put forward over it. Please choose another."
BEYOND = "Please give a year from 2 to 9998."

current_zone: ContextVar[tzinfo] = ContextVar("current_zone", default=UTC)
"""That of who asks; the site's own where nobody does. UTC outside of requests and e-mails."""


@lru_cache(MAX_KNOWN_ZONES)
def find_zone(name: str) -> "ZoneInfo | None":
    """The zone of a name such as Europe/Vienna, or None if there is none."""
    if not NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # a folder, or no file of zones
        return None


def site_zone(settings: Settings) -> tzinfo:
    return UTC if settings.time_zone == "UTC" else find_zone(settings.time_zone) or UTC


def zone_name(moment: datetime) -> str:
    """What the zone of a local moment is called in a form, with a mark on the second of two equal times."""
    is_second = moment.fold and moment.utcoffset() != moment.replace(fold=0).utcoffset()
    return str(moment.tzinfo) + (SECOND_TIME if is_second else "")


def local(moment: datetime) -> datetime:
    """A moment in the zone of who asks; without a zone it is taken for UTC, as stored ones are."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(current_zone.get())


def known_zone(shown: object) -> str:
    """What a form has sent back of `zone_name`, if that is a zone."""
    if not isinstance(shown, str):
        return ""
    name, _again, rest = shown.partition(SECOND_TIME)
    return shown if not rest and find_zone(name) else ""


def moment_in(moment: datetime, zone: str = "") -> datetime:
    """The moment that a time on a clock means; `zone` is what `zone_name` gave the form.

    Of two times that are the same on the clock it is the first, unless the form has shown the second.

    Raises:
        ValueError: clocks skip it, or it is beyond all calendars; the words are for who wrote it.
    """
    name, again, _ = zone.partition(SECOND_TIME)
    there = find_zone(name) or current_zone.get()
    meant = moment.replace(tzinfo=there, fold=int(bool(again)))
    found = _in_utc(meant)
    if found.astimezone(there).replace(tzinfo=None, fold=0) != meant.replace(tzinfo=None, fold=0):
        raise ValueError(SKIPPED)
    return found


def start_of_day(day: date) -> datetime:
    """Return the first moment of a day in the current time zone, also where clocks skip midnight.

    Raises:
        ValueError: the year is out of range.
    """
    return _in_utc(datetime.combine(day, time(), current_zone.get()))


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(BEYOND) from None


def format_date(day: date | None) -> str:
    """Format a day for people: `{{ member.birthday | date }}` is 3 Nov 2026; of a moment, where they are."""
    if not day:
        return ""
    there = local(day) if isinstance(day, datetime) else day
    return f"{there.day} {MONTHS[there.month - 1]} {there.year}"


def format_datetime(moment: datetime | None) -> str:
    """Format a time for people, where they are: 3 Nov 2026, 10:05 CET."""
    if not moment:
        return ""
    there = local(moment)
    zone = there.tzname() or ""
    return f"{format_date(there.date())}, {there.hour:02}:{there.minute:02} {'UTC' if zone[:1] in '+-' else ''}{zone}"


def format_time(moment: datetime | None) -> str:
    """The same as HTML that programs read too: `{{ book.created_at | time }}`."""
    if not moment:
        return ""
    return Markup('<time datetime="{}">{}</time>').format(local(moment).isoformat(), format_datetime(moment))


def zone_of_request(scope: Scope) -> "tuple[Scope, ZoneInfo | None]":
    """Return the time zone in the visitor's cookie, and the request without that cookie.

    The cache may answer a request that has no other cookie.
    """
    headers, zone, is_changed = [], None, False
    for name, value in scope["headers"]:
        if name != b"cookie" or COOKIE not in value:
            headers.append((name, value))
            continue
        is_changed = True
        parts = [part.strip() for part in value.split(b";")]
        others = [part for part in parts if not part.startswith(COOKIE)]
        for part in parts:
            if part.startswith(COOKIE):
                zone = find_zone(part.removeprefix(COOKIE).decode("latin-1"))
        if others:
            headers.append((name, b"; ".join(others)))
    return {**scope, "headers": headers} if is_changed else scope, zone
