"""Form controls for the fields of Pydantic models."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, time
from enum import Enum
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from opportune.db.models.references import reference_of
from opportune.db.models.translation import translation_of
from opportune.i18n import get_language, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.parsing import MACHINE_NUMBER, Source, parse_date, parse_moment, parse_number
from opportune.i18n.translation import DerivedLabel
from opportune.schemas.annotations import Attribute, options_of
from opportune.schemas.text import ONE_LINE
from opportune.search.query import fold
from opportune.web.forms.error_messages import INVALID_INTEGER, INVALID_NUMBER, NO_SEPARATORS
from opportune.web.time_zone import local

DATETIME_LOCAL = "datetime-local"
"""Type of an input for a date and a time."""
PICKER = "picker"
"""Type of a foreign key field: a select that searches more rows while the user types."""

LINES, JSON_TEXT = "lines", "json"
TEXT_LISTS = (LINES, JSON_TEXT)
"""Types of fields with several values in one text box."""

TYPES_BY_FORMAT = {
    "binary": "file",
    "date": "date",
    "date-time": DATETIME_LOCAL,
    "email": "email",
    "multiline": "textarea",
    "password": "password",
    "time": "time",
    "uri": "url",
}
# A `datetime-local` input sends a T between date and time. A file may have a space instead.
LOCAL_TIME = re.compile(r"\d{4,}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?")
MACHINE_FORMATS = {
    "number": MACHINE_NUMBER,
    "date": re.compile(r"\d{4,}-\d\d-\d\d"),
    "time": re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?"),
    DATETIME_LOCAL: LOCAL_TIME,
}
"""Formats of the texts that inputs of these types send and show. Browsers display them in the user's format."""
MAX_VALUES = {"date": "9999-12-31", DATETIME_LOCAL: "9999-12-31T23:59"}
"""Attribute `max` by input type. Without it, browsers expect years of six digits while the user types."""
MAX_CHECKBOXES = 10
"""Maximum number of rows that a field for several rows shows as checkboxes."""
EMPTY_MESSAGES = {
    "checkbox": _l("Please tick this."),
    "checkboxes": _l("Please tick at least one."),
    "file": _l("Please choose a file."),
    PICKER: _l("Please choose one."),
    "radio": _l("Please choose one."),
    "select": _l("Please choose one."),
}
"""Messages for a required field without a value, by its type."""
MIN_SORTED_CHOICES = 8
"""Number of choices whose alphabetical order in English is no coincidence."""
LANGUAGES_WITHOUT_ALPHABET = ("ja", "zh")
"""Languages whose lists keep the English order."""
ATTRIBUTES_BY_KEYWORD = {
    "contentMediaType": "accept",
    "maxLength": "maxlength",
    "minLength": "minlength",
    "maximum": "max",
    "minimum": "min",
    "multipleOf": "step",
    "pattern": "pattern",
}
"""HTML attributes by the keyword of JSON schema with the same meaning."""


@dataclass(frozen=True)
class RowChoices:
    """Choices of a foreign key field, such as `Annotated[int, Reference(Author)]`."""

    names: Mapping[int, str]
    """Labels by id, of all rows; with `lookup_url`, of the first rows and the selected ones."""
    lookup_url: str = ""
    """URL of the search for more rows, or empty if `names` has all rows."""
    add_url: str = ""
    """URL of the form for a new row, or empty if the user may not add one."""
    add_label: str = ""


@dataclass(frozen=True)
class Control:
    """Control for one field of a form."""

    name: str
    label: str
    type: str
    """Type of an `<input>`, or textarea, lines, json, markdown, select, radio, checkboxes, picker."""
    required: bool
    multiple: bool
    help: str
    choices: Mapping[str, str]
    """Labels by value, if only these values are allowed. Empty for other fields."""
    values_by_text: Mapping[str, object]
    """Python values by their HTML text, such as the numbers of a Literal."""
    attributes: Mapping[str, Attribute]
    suffix: str = ""
    """Unit after the control."""
    rows: RowChoices | None = None
    """Choices of a `picker`, set by the form."""
    is_translated: bool = False
    """Whether the value has a text in each language of the site."""
    decimals: int | None = None
    """Number of decimals that the field takes, 0 for whole numbers. None if it is not limited."""

    @property
    def is_closed(self) -> bool:
        """Whether only the listed choices are valid."""
        if self.rows:
            return not self.rows.lookup_url
        return bool(self.choices) and self.type != "checkbox"


@dataclass(frozen=True)
class Field:
    """A form control with its current values and error, as templates render it."""

    label: str
    type: str
    required: bool
    help: str
    error: str
    values: Sequence[str]
    """Values to show; only fields for several values have more than one."""
    choices: Mapping[str, str]
    attributes: Mapping[str, Attribute]
    suffix: str = ""
    zone: str = ""
    """Time zone of a time."""
    rows: RowChoices | None = None
    can_clear: bool = False
    """Whether the user can remove a stored file."""
    is_cleared: bool = False
    translations: "Sequence[Field]" = ()
    """Inputs for a text in each language, if the site has several."""

    @property
    def value(self) -> str:
        return self.values[-1] if self.values else ""


@cache
def controls_of(model: type[BaseModel]) -> Mapping[str, Control]:
    """Return the controls of a model's fields, by name.

    Raises:
        TypeError: A field has a nested object.
    """
    schema = model.model_json_schema(by_alias=False)
    properties, definitions = schema["properties"], schema.get("$defs", {})
    controls = {}
    for name, info in model.model_fields.items():
        field_schema = _resolved_schema(properties[name], definitions)
        if field_schema.get("type") == "object" and options_of(info).type not in TEXT_LISTS:
            raise TypeError(f"{model.__name__}.{name} is a nested object, which a form cannot edit")
        controls[name] = _build_control(name, info, field_schema)
    return controls


def with_choices(control: Control, choices: Mapping[Any, str] | RowChoices) -> Control:
    """Return a control with choices that depend on the request."""
    rows = choices if isinstance(choices, RowChoices) else None
    labels = choices.names if isinstance(choices, RowChoices) else choices
    type_ = control.type if control.type in ("radio", "checkboxes") else "select"
    if rows and control.type == PICKER and (rows.lookup_url or control.multiple):
        type_ = "checkboxes" if not rows.lookup_url and 0 < len(labels) <= MAX_CHECKBOXES else PICKER
    return replace(control, type=type_, rows=rows, choices={as_text(value): label for value, label in labels.items()})


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
    return str(value)


def as_text_list(value: object, type_: str) -> str:
    """Return a list of values as the text of one box: one value per line, or JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return "\n".join(map(as_text, value)) if type_ == LINES else json.dumps(value, ensure_ascii=False, indent=2)  # type: ignore[call-overload]  # a list


def _resolved_schema(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """Return the JSON schema with resolved references. Unions are reduced to their first type."""
    if "$ref" in schema:
        return _resolved_schema(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "items" in schema:
        return {**_resolved_schema(schema["items"], definitions), "multiple": True}
    if "anyOf" not in schema:
        return schema
    types = [type_ for type_ in schema["anyOf"] if type_.get("type") != "null"]
    if types[0].get("type") == "integer":  # int | float
        types = [type_ for type_ in types if type_.get("type") == "number"] or types
    format_ = {"format": schema["format"]} if "format" in schema else {}
    return {**_resolved_schema(types[0], definitions), **format_, "nullable": {"type": "null"} in schema["anyOf"]}


def _build_control(name: str, info: FieldInfo, schema: JsonSchemaValue) -> Control:
    options = options_of(info)
    choices = {**_choices(schema), **options.choices}
    if "" in choices:
        choices = {"": choices[""], **choices}
    type_ = options.type or (PICKER if reference_of(info) else _control_type(name, schema))
    example = _l(str(info.examples[0])) if info.examples else None
    return Control(
        name=name,
        label=default_label(name, info),
        type=type_,
        # An empty checkbox is a valid value, unless the model only accepts True.
        required=schema.get("const") is True if type_ == "checkbox" else info.is_required(),
        multiple="multiple" in schema and type_ not in TEXT_LISTS,
        help=info.description or "",
        choices=choices,
        values_by_text={as_text(value): value for value in _enum_values(schema)},
        attributes={"placeholder": example, **_attributes(schema, type_), **options.attributes},
        suffix=options.suffix,
        is_translated=translation_of(info) is not None,
        decimals=0 if schema.get("type") == "integer" else _decimal_places(info),
    )


def _decimal_places(info: FieldInfo) -> int | None:
    places = (getattr(constraint, "decimal_places", None) for constraint in info.metadata)
    return next((number for number in places if number is not None), None)


def default_label(name: str, info: FieldInfo) -> str:
    """Return the title of a field, or a label from its name: a reference `author_id` is "Author"."""
    words = re.sub("_ids?$", "", name) if reference_of(info) else name
    return info.title or DerivedLabel(words.replace("_", " ").capitalize())


def to_machine_format(control: Control, text: str, source: Source = Source.FORM) -> str:
    """Convert a number or date from the visitor's format. Return other texts unchanged, for the model to refuse.

    Raises:
        ValueError: It is not a number. The message is for the user. The model would read `1_000`, and `1.000` as 1.
    """
    return machine_format(control.type, text, control.suffix, decimals=control.decimals, source=source)


def machine_format(
    type_: str, text: str, unit: str = "", *, decimals: int | None = None, source: Source = Source.FORM
) -> str:
    """Convert the text of an input of this type to machine format. Raises ValueError like `to_machine_format`."""
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
    return "text" if pattern and text and not pattern.fullmatch(text) else type_


def translated_choices(choices: Mapping[str, str]) -> dict[str, str]:
    """Return choices with translated labels. A long list that is sorted in English is sorted in all languages."""
    translated = {value: gettext(label) for value, label in choices.items()}
    labels = [fold(label) for value, label in choices.items() if value]
    is_sorted = len(labels) >= MIN_SORTED_CHOICES and labels == sorted(labels)
    if not is_sorted or get_language().code.startswith(LANGUAGES_WITHOUT_ALPHABET):
        return translated
    return dict(sorted(translated.items(), key=lambda choice: (choice[0] != "", fold(choice[1]))))


def _choices(schema: JsonSchemaValue) -> dict[str, str]:
    if schema.get("type") == "boolean":
        return {"true": "Yes", "false": "No"} if schema.get("nullable") else {}
    texts = map(as_text, _enum_values(schema))
    return {text: DerivedLabel(text.replace("_", " ").capitalize()) for text in texts}


def _enum_values(schema: JsonSchemaValue) -> list[object]:
    return schema.get("enum") or ([schema["const"]] if "const" in schema else [])


def _control_type(name: str, schema: JsonSchemaValue) -> str:
    if schema.get("multiple"):
        return "file" if schema.get("format") == "binary" else "checkboxes"
    if schema.get("type") == "boolean":
        return "select" if schema.get("nullable") else "checkbox"
    if "enum" in schema or "const" in schema:
        return "select"
    if schema.get("type") in ("integer", "number"):
        return "number"
    return "password" if "password" in name else TYPES_BY_FORMAT.get(schema.get("format", ""), "text")


def _attributes(schema: JsonSchemaValue, type_: str) -> dict[str, Attribute]:
    if type_ in (PICKER, *TEXT_LISTS, "select", "checkboxes", "checkbox", "radio"):
        return {}
    attributes: dict[str, Attribute] = {"max": MAX_VALUES[type_]} if type_ in MAX_VALUES else {}
    attributes |= {name: schema[keyword] for keyword, name in ATTRIBUTES_BY_KEYWORD.items() if keyword in schema}
    if attributes.get("pattern") == ONE_LINE or type_ in ("textarea", "markdown"):
        attributes.pop("pattern", None)
    if attributes.get("minlength") == 1:  # same as `required`
        del attributes["minlength"]
    if schema.get("type") == "number":
        return {"step": "any", **attributes}
    for keyword, name, step in (("exclusiveMinimum", "min", 1), ("exclusiveMaximum", "max", -1)):
        if keyword in schema:
            attributes[name] = schema[keyword] + step
    return attributes


def html_attributes(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Return attributes for Jinja's `xmlattr`, where True is an empty value and False leaves the attribute out.

    Browsers cut a pasted text at `maxlength` without a message. site.js shows the limit of `data-maxlength` instead.
    """
    return {
        "data-maxlength" if name == "maxlength" else name: "" if value is True else value
        for name, value in attributes.items()
        if value is not False
    }
