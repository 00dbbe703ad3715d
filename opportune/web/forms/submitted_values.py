"""Values in submitted forms: texts of fields, converted from the visitor's format."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from starlette.datastructures import FormData

from opportune.i18n import gettext
from opportune.web.forms.controls import Control, to_machine_format
from opportune.web.forms.error_messages import INVALID_CHOICE
from opportune.web.forms.input_texts import DATETIME_LOCAL, JSON_TEXT, LOCAL_TIME, parse_json
from opportune.web.time_zone import in_utc, to_utc


def texts_of_field(submitted: FormData, name: str) -> list[str]:
    # Browsers send CRLF, but count one character for maxlength.
    return [value.replace("\r\n", "\n") for value in submitted.getlist(name) if isinstance(value, str)]


def parse_texts(control: Control, texts: Sequence[str], zone: str) -> list[Any]:
    """Convert submitted texts to values for the model.

    Raises:
        ValueError: A text is not a choice, number or time. The message is for the user.
    """
    if control.is_closed and not control.choices.keys() >= set(texts):
        raise ValueError(gettext(INVALID_CHOICE))
    if control.type == JSON_TEXT:
        return [parse_json(text) for text in texts]
    texts = [to_machine_format(control, text) for text in texts]
    if control.type == DATETIME_LOCAL:
        return [parse_local_time(text, zone) for text in texts]
    return [control.values_by_text.get(text, text) for text in texts]


def parse_local_time(text: str, zone: str) -> str | datetime:
    """Convert a local time in a zone to UTC. Return other texts unchanged, for the model to validate.

    Raises:
        ValueError: Clocks skip this time, or UTC has no such year.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is not None:
        in_utc(moment)
    return to_utc(moment, zone) if LOCAL_TIME.fullmatch(text) else text
