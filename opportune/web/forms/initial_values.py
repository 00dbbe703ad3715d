"""Initial values of forms, from a row or from the defaults of the model."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from opportune.db.models.references import reference_of
from opportune.db.models.translated import texts_of
from opportune.web.forms.controls import Control, controls_of
from opportune.web.forms.input_texts import DATETIME_LOCAL, TEXT_LISTS, as_text, as_text_list
from opportune.web.time_zone import current_zone, local, zone_name

Controls = Mapping[str, Control]
Values = dict[str, str | list[str]]


def initial_values(model: type[BaseModel], controls: Controls, row: object, *, is_in_utc: bool) -> Values:
    """Return the HTML text of each field, except passwords and files."""
    zone = current_zone.set(UTC if is_in_utc else current_zone.get())
    try:
        names = [name for name, control in controls.items() if control.type not in ("password", "file")]
        return {name: initial_value(model, name, row) for name in names}
    finally:
        current_zone.reset(zone)


def time_zones(model: type[BaseModel], controls: Controls, row: object, *, is_in_utc: bool) -> dict[str, str]:
    """Return the zone name in which each datetime field is shown."""
    visitor_zone = "UTC" if is_in_utc else str(current_zone.get())
    zones = {name: visitor_zone for name, control in controls.items() if control.type == DATETIME_LOCAL}
    if visitor_zone != "UTC":
        for name in zones:
            if isinstance(moment := value_of(model, name, row), datetime) and moment.tzinfo:
                zones[name] = zone_name(local(moment))
    return zones


def initial_texts(model: type[BaseModel], name: str, row: object) -> Mapping[str, str]:
    """Return the texts of a translated field by language."""
    return texts_of(value_of(model, name, row) or "")


def value_of(model: type[BaseModel], name: str, row: object) -> Any:
    """Return the value of a row, else the default of the model."""
    info = model.model_fields[name]
    value = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    if row is not None:
        value = row.get(name, value) if isinstance(row, Mapping) else getattr(row, name, value)
    return value


def initial_value(model: type[BaseModel], name: str, row: object) -> str | list[str]:
    """Return the texts that an empty form, or the form of a row, shows in a field."""
    value, type_ = value_of(model, name, row), controls_of(model)[name].type
    if type_ in TEXT_LISTS:
        return as_text_list(value, type_)
    to_text = _id_text if reference_of(model.model_fields[name]) else as_text
    if isinstance(value, list | set | tuple):
        return [to_text(item) for item in value]
    return to_text(value)


def _id_text(row_or_id: object) -> str:
    return as_text(getattr(row_or_id, "id", row_or_id))
