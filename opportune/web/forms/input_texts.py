"""Texts of inputs: the formats that browsers send and show."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Any

from opportune.i18n import gettext
from opportune.i18n.parsing import MACHINE_NUMBER, Source, parse_date, parse_moment, parse_number
from opportune.web.forms.error_messages import INVALID_INTEGER, INVALID_JSON, INVALID_NUMBER, NO_SEPARATORS
from opportune.web.time_zone import local

DATETIME_LOCAL = "datetime-local"
"""Type of an input for a date and a time."""
LINES, JSON_TEXT = "lines", "json"
TEXT_LISTS = (LINES, JSON_TEXT)
"""Types of fields with several values in one text box."""
# A `datetime-local` input sends a T between date and time. A file may have a space instead.
LOCAL_TIME = re.compile(r"\d{4,}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?")
MACHINE_FORMATS = {
    "number": MACHINE_NUMBER,
    "date": re.compile(r"\d{4,}-\d\d-\d\d"),
    "time": re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?"),
    DATETIME_LOCAL: LOCAL_TIME,
}
"""Formats of the texts that inputs of these types send and show. Browsers display them in the user's format."""
PARSERS: Mapping[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    DATETIME_LOCAL: datetime.fromisoformat,
}


def as_text(value: object) -> str:
    """Return the HTML text of a value. Datetimes are converted to the visitor's time zone."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Enum():
            return as_text(value.value)
        case datetime():
            moment = (local(value) if value.tzinfo else value).replace(tzinfo=None)
            return moment.isoformat(timespec="seconds" if moment.second else "minutes")
        case time():
            return value.isoformat(timespec="seconds" if value.second else "minutes")
    # Python's text of -1:00 is "-1 day, 23:00:00", which Pydantic reads as more than a day.
    return f"-{-value}" if isinstance(value, timedelta) and value < timedelta() else str(value)


def as_text_list(value: object, type_: str) -> str:
    """Return a list of values as the text of one box: one value per line, or JSON."""
    if value is None:
        return ""
    if type_ == LINES and isinstance(value, str):
        return value
    if type_ == LINES and isinstance(value, Iterable):
        return "\n".join(map(as_text, value))
    return json.dumps(value, ensure_ascii=False, indent=2, default=as_text)


def parse_json(text: str) -> Any:
    """Return the value of a text in JSON.

    Raises:
        ValueError: It is not JSON. The message is for the user.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(gettext(INVALID_JSON)) from None


def machine_format(
    type_: str, text: str, unit: str = "", *, decimals: int | None = None, source: Source = Source.FORM
) -> str:
    """Convert the number or date of an input of this type to machine format. Return other texts unchanged.

    Raises:
        ValueError: It is not a number. The message is for the user. The model would read `1_000`, and `1.000` as 1.
    """
    if type_ == "number":
        return _machine_number(text, unit, decimals, source)
    with suppress(ValueError):
        if type_ == "date" and source is not Source.MACHINE:
            return parse_date(text).isoformat()
        if type_ == DATETIME_LOCAL and source is not Source.MACHINE and not LOCAL_TIME.fullmatch(text):
            return parse_moment(text)
    return text


def _machine_number(text: str, unit: str, decimals: int | None, source: Source) -> str:
    try:
        number = parse_number(text, unit=unit, decimals=decimals, source=source)
    except ValueError:
        if decimals != 0:
            raise ValueError(gettext(INVALID_NUMBER)) from None
        has_separators = re.search(r"\d[^\w\s]\d", text)
        raise ValueError(gettext(NO_SEPARATORS if has_separators else INVALID_INTEGER)) from None
    return f"{number:f}" if decimals == 0 else str(number)


def input_type(type_: str, text: str) -> str:
    """Return the type of an input that shows this text. Browsers would hide a text that their input cannot send."""
    pattern = MACHINE_FORMATS.get(type_)
    if not (pattern and text):
        return type_
    try:
        PARSERS.get(type_, str)(text)
    except ValueError:  # no day of the calendar, or no time of the day
        return "text"
    return type_ if pattern.fullmatch(text) else "text"
