"""Messages for Pydantic's errors, for users of forms and callers of the API."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from opportune.i18n import gettext, ngettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_day, localize_number
from opportune.web.time_zone import format_datetime

INVALID_DATE = _l("Please enter a date, such as 2026-12-31.")
INVALID_DATETIME = _l("Please enter a date and a time, such as 2026-12-31 18:30.")
INVALID_TIME = _l("Please enter a time, such as 18:30.")
INVALID_NUMBER = _l("Please enter a number, such as 12.50.")
INVALID_INTEGER = _l("Please enter a whole number.")
NO_SEPARATORS = _l("Please enter a whole number without separators, such as 1000.")
INVALID_DURATION = _l("Please enter a span of time, such as 1 day 1:25:33.")
INVALID_UUID = _l("Please enter a UUID, such as 123e4567-e89b-12d3-a456-426614174000.")
MISSING_VALUE = _l("Please fill this in.")
INVALID_EMAIL = _l("Please enter an e-mail address, such as ada@example.com.")
INVALID_CHOICE = _l("Please choose one of the options.")
INVALID_ROW = _l("Choose one from the list, or enter its number.")
INVALID_JSON = _l('Please write this as JSON, such as {"colour": "red"}.')
INVALID_BOOLEAN = _l("Please choose yes or no.")
INVALID_LIST = _l("Please enter a list.")
INVALID_OBJECT = _l("Please enter an object.")
UNKNOWN_NAME = _l("There is no field or parameter of this name.")

MESSAGES = {
    "extra_forbidden": UNKNOWN_NAME,
    "missing": MISSING_VALUE,
    "json_invalid": _l("This is not valid JSON."),
    "string_type": _l("Please enter a text."),
    "string_unicode": _l("Must be valid Unicode."),
    **dict.fromkeys(("list_type", "set_type", "frozen_set_type", "tuple_type"), INVALID_LIST),
    **dict.fromkeys(("dict_type", "model_attributes_type", "model_type"), INVALID_OBJECT),
    "string_pattern_mismatch": _l("Please use the requested format."),
    "too_short": _l("Please enter at least %(min_length)s."),
    "too_long": _l("Please enter at most %(max_length)s."),
    **dict.fromkeys(("date_from_datetime_parsing", "date_from_datetime_inexact"), INVALID_DATE),
    **dict.fromkeys(("date_parsing", "date_type"), INVALID_DATE),
    **dict.fromkeys(("datetime_from_date_parsing", "datetime_parsing", "datetime_type"), INVALID_DATETIME),
    **dict.fromkeys(("time_parsing", "time_type"), INVALID_TIME),
    **dict.fromkeys(("time_delta_parsing", "time_delta_type"), INVALID_DURATION),
    **dict.fromkeys(("uuid_parsing", "uuid_type"), INVALID_UUID),
    **dict.fromkeys(("int_parsing", "int_from_float", "int_type"), INVALID_INTEGER),
    "int_parsing_size": _l("Please enter a smaller number."),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), INVALID_NUMBER),
    **dict.fromkeys(("decimal_parsing", "decimal_type"), INVALID_NUMBER),
    "multiple_of": _l("Please enter a multiple of %(multiple_of)s."),
    "greater_than": _l("Please enter more than %(gt)s."),
    "greater_than_equal": _l("Please enter %(ge)s or more."),
    "less_than": _l("Please enter less than %(lt)s."),
    "less_than_equal": _l("Please enter %(le)s or less."),
    **dict.fromkeys(("bool_parsing", "bool_type"), INVALID_BOOLEAN),
    **dict.fromkeys(("enum", "literal_error"), INVALID_CHOICE),
    "flag_combination": _l("Choose a combination of %(choices)s."),
    "upload_type": _l("Please choose a file."),
    "url_parsing": _l("Please enter an address, such as https://example.com."),
    "url_scheme": _l("Please enter an address that begins with %(expected_schemes)s."),
}
"""Messages by Pydantic's error type."""
NUMBERED_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "string_too_short": lambda limits: ngettext(
        "Please enter at least %(num)s character.", "Please enter at least %(num)s characters.", limits["min_length"]
    ),
    "string_too_long": lambda limits: ngettext(
        "Please enter at most %(num)s character.", "Please enter at most %(num)s characters.", limits["max_length"]
    ),
    "decimal_max_places": lambda limits: ngettext(
        "Please enter at most %(num)s digit after the point.",
        "Please enter at most %(num)s digits after the point.",
        limits["decimal_places"],
    ),
    "decimal_max_digits": lambda limits: ngettext(
        "Please enter at most %(num)s digit.", "Please enter at most %(num)s digits.", limits["max_digits"]
    ),
    "decimal_whole_digits": lambda limits: ngettext(
        "Please enter at most %(num)s digit before the point.",
        "Please enter at most %(num)s digits before the point.",
        limits["whole_digits"],
    ),
}
"""Messages by Pydantic's error type, with a plural form of the limit."""
STORABLE_MESSAGES = (
    _l("must be valid Unicode"),
    _l("must not be nested more than 200 levels deep"),
    _l("must not contain NaN or an infinite number"),
    _l("must not contain the character NUL"),
)
"""Errors of `opportune.schemas.text`, listed for catalogues."""
EMAIL_ERROR_PREFIX = "value is not a valid email address"
"""Start of Pydantic's message for invalid e-mail addresses, which have no error type."""
DATE_MESSAGES = {
    "greater_than": _l("Please enter a date after %(gt)s."),
    "greater_than_equal": _l("Please enter %(ge)s or later."),
    "less_than": _l("Please enter a date before %(lt)s."),
    "less_than_equal": _l("Please enter %(le)s or earlier."),
}
"""Messages of errors whose limit is a date or a time."""
FULL_STOPS = (".", "!", "?", "。", "؟")


def messages_by_field(
    error: ValidationError,
    name_of: Callable[[Sequence[int | str]], str] = lambda location: str(next(iter(location), "")),
) -> dict[str, str]:
    """Return the first message for each field. An empty key means that the message is about the whole model.

    Args:
        error: Pydantic's error.
        name_of: Returns the name of a field by the location of an error.
    """
    messages: dict[str, str] = {}
    for item in error.errors():
        messages.setdefault(name_of(item["loc"]), message_for(item))
    return messages


def message_for(item: Mapping[str, Any]) -> str:
    """Return the message for one of Pydantic's errors."""
    is_length_of_text = item["type"] in ("too_short", "too_long") and isinstance(item.get("input"), str)
    type_ = f"string_{item['type']}" if is_length_of_text else item["type"]
    limits = item.get("ctx", {})
    if limits.get("min_length") == 1:
        return gettext(MISSING_VALUE)
    if type_ in NUMBERED_MESSAGES:
        return NUMBERED_MESSAGES[type_](limits)
    if message := _date_message(type_, limits):
        return message
    if type_ in MESSAGES:
        return _with_limits(MESSAGES[type_], limits)
    message = str(item["msg"]).removeprefix("Value error, ")
    return gettext(INVALID_EMAIL) if message.startswith(EMAIL_ERROR_PREFIX) else as_sentence(message)


def _date_message(type_: str, limits: Mapping[str, Any]) -> str:
    """Return the message of an error whose limit is a date or a time. Empty for other errors."""
    dates = {name: _parse_limit(limit) for name, limit in limits.items()}
    if type_ in DATE_MESSAGES and any(isinstance(limit, date) for limit in dates.values()):
        return _with_limits(DATE_MESSAGES[type_], dates)
    return ""


def _with_limits(message: str, limits: Mapping[str, Any]) -> str:
    return gettext(message, **{name: _limit_text(limit) for name, limit in limits.items()})


def as_sentence(message: str) -> str:
    """Translate the message of a ValueError, and return it with a capital and a full stop."""
    message = gettext(message)
    stop = "" if message.endswith(FULL_STOPS) else "."
    return message[:1].upper() + message[1:] + stop


def _limit_text(limit: object) -> str:
    """Return a limit in the format of the visitor's language."""
    match limit:
        case datetime():
            return format_datetime(limit)
        case date():
            return format_day(limit)
        case float():
            return localize_number(f"{limit:g}")
        case Decimal():
            return localize_number(str(limit))
    return str(limit)


def _parse_limit(limit: object) -> object:
    """Return the date or the time of a limit, which Pydantic reports as text."""
    if not isinstance(limit, str):
        return limit
    for type_ in (date, datetime):
        with suppress(ValueError):
            return type_.fromisoformat(limit)
    return limit
