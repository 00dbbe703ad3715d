"""Conversion of a field: from the value of a row to texts, and from submitted texts to values."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from starlette.datastructures import FormData

from opportune.i18n import gettext
from opportune.web.forms import input_texts
from opportune.web.forms.controls import Control, controls_of, to_machine_format
from opportune.web.forms.error_messages import INVALID_CHOICE, INVALID_ROW
from opportune.web.time_zone import in_utc, to_utc


def value_of(model: type[BaseModel], name: str, row: object) -> Any:
    """Return the value of a row, else the default of the model."""
    missing = object()
    value = row.get(name, missing) if isinstance(row, Mapping) else getattr(row, name, missing)
    if value is not missing:
        return value
    info = model.model_fields[name]
    return None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})


def initial_value(model: type[BaseModel], name: str, row: object) -> str | list[str]:
    """Return the texts that an empty form, or the form of a row, shows in a field."""
    value = value_of(model, name, row)
    control = controls_of(model)[name]
    if control.type in input_texts.TEXT_LISTS:
        return input_texts.as_text_list(value, control.type)
    to_text = _id_text if control.is_reference else input_texts.as_text
    if isinstance(value, list | set | tuple):
        return [to_text(item) for item in value]
    return to_text(value)


def _id_text(row_or_id: object) -> str:
    return input_texts.as_text(getattr(row_or_id, "id", row_or_id))


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
    if control.is_reference and not all(text.isdecimal() for text in texts if text):
        raise ValueError(gettext(INVALID_ROW))
    if control.type == input_texts.JSON_TEXT:
        return [input_texts.parse_json(text) for text in texts]
    texts = [to_machine_format(control, text) for text in texts]
    if control.type == input_texts.DATETIME_LOCAL:
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
    return to_utc(moment, zone) if input_texts.LOCAL_TIME.fullmatch(text) else text
