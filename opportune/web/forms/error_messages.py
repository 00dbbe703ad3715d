"""Messages for Pydantic's errors, for users of forms and callers of the API."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

A_DATE = "Please give a date, such as 2026-12-31."
A_MOMENT = "Please give a date and a time, such as 2026-12-31 18:30."
A_TIME = "Please give a time, such as 18:30."
A_NUMBER = "Please give a number, such as 12.50."
WHOLE = "Please give a whole number."
A_SPAN = "Please give a span of time, such as 1 day 1:25:33."
A_UUID = "Please give a UUID, such as 123e4567-e89b-12d3-a456-426614174000."
EMPTY = "Please fill this in."
AN_EMAIL = "Please give an e-mail address, such as ada@example.com."
NOT_A_CHOICE = "Please choose one of the options."
INVALID_JSON = 'Please write this as JSON, such as {"colour": "red"}.'
YES_OR_NO = "Please choose yes or no."

MESSAGES = {
    "extra_forbidden": "There is no field or parameter of this name.",
    "missing": EMPTY,
    "string_too_short": "Please write at least {min_length} characters.",
    "string_too_long": "Please write at most {max_length} characters.",
    "string_pattern_mismatch": "Please use the requested format.",
    "too_short": "Please give at least {min_length}.",
    "too_long": "Please give at most {max_length}.",
    "date_from_datetime_parsing": A_DATE,
    "date_from_datetime_inexact": A_DATE,
    "date_parsing": A_DATE,
    "date_type": A_DATE,
    "datetime_from_date_parsing": A_MOMENT,
    "datetime_parsing": A_MOMENT,
    "datetime_type": A_MOMENT,
    "time_parsing": A_TIME,
    "time_type": A_TIME,
    "time_delta_parsing": A_SPAN,
    "time_delta_type": A_SPAN,
    "uuid_parsing": A_UUID,
    "uuid_type": A_UUID,
    "int_parsing": WHOLE,
    "int_parsing_size": "Please give a smaller number.",
    "int_from_float": WHOLE,
    "int_type": WHOLE,
    "float_parsing": A_NUMBER,
    "float_type": A_NUMBER,
    "decimal_parsing": A_NUMBER,
    "finite_number": A_NUMBER,
    "decimal_max_places": "Please give at most {decimal_places} digits after the point.",
    "decimal_max_digits": "Please give at most {max_digits} digits.",
    "decimal_whole_digits": "Please give at most {whole_digits} digits before the point.",
    "multiple_of": "Please give a multiple of {multiple_of}.",
    "greater_than": "Please give more than {gt}.",
    "greater_than_equal": "Please give {ge} or more.",
    "less_than": "Please give less than {lt}.",
    "less_than_equal": "Please give {le} or less.",
    "bool_parsing": YES_OR_NO,
    "bool_type": YES_OR_NO,
    "enum": NOT_A_CHOICE,
    "literal_error": NOT_A_CHOICE,
    "url_parsing": "Please give an address, such as https://example.com.",
    "url_scheme": "Please give an address that begins with {expected_schemes}.",
}
NOT_AN_EMAIL = "value is not a valid email address"
"""Beginning of Pydantic's message, because the error has no type."""
DATE_MESSAGES = {
    "greater_than": "Please give a date after {gt}.",
    "greater_than_equal": "Please give {ge} or later.",
    "less_than": "Please give a date before {lt}.",
    "less_than_equal": "Please give {le} or earlier.",
}


def messages_by_field(error: ValidationError) -> dict[str, str]:
    """Return the first message for each field. The key of messages about all fields is empty."""
    messages: dict[str, str] = {}
    for item in error.errors():
        messages.setdefault(str(item["loc"][0]) if item["loc"] else "", message_for(item))
    return messages


def message_for(item: Mapping[str, Any]) -> str:
    """Return the message for one of Pydantic's errors."""
    type_ = item["type"]
    limits = {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in item.get("ctx", {}).items()}
    if limits.get("min_length") == 1:
        return EMPTY
    if any(isinstance(limit, date) for limit in limits.values()) and type_ in DATE_MESSAGES:
        return DATE_MESSAGES[type_].format(**limits)
    if type_ in MESSAGES:
        return MESSAGES[type_].format(**limits)
    message = str(item["msg"]).removeprefix("Value error, ")
    if message.startswith(NOT_AN_EMAIL):
        return AN_EMAIL
    return message[:1].upper() + message[1:].rstrip(".") + "."
