"""Form controls for the fields of Pydantic models."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from enum import Enum
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from opportune.db.models.references import reference_of
from opportune.schemas.annotations import Attribute, options_of
from opportune.text import ONE_LINE
from opportune.web.time_zone import local

PICKER = "picker"
"""Type of a foreign key field: a select that searches more rows while the user types."""

LINES, JSON_TEXT = "lines", "json"
TEXT_LISTS = (LINES, JSON_TEXT)
"""Types of fields with several values in one text box."""

TYPES_BY_FORMAT = {
    "binary": "file",
    "date": "date",
    "date-time": "datetime-local",
    "email": "email",
    "multiline": "textarea",
    "password": "password",
    "time": "time",
    "uri": "url",
}
LATEST = {"date": "9999-12-31", "datetime-local": "9999-12-31T23:59"}
"""Largest value by type of input. Without it browsers expect years of six digits, and typing a date goes wrong."""
ATTRIBUTES = {
    "contentMediaType": "accept",
    "maxLength": "maxlength",
    "minLength": "minlength",
    "maximum": "max",
    "minimum": "min",
    "multipleOf": "step",
    "pattern": "pattern",
}


@dataclass(frozen=True)
class RowChoices:
    """Choices of a foreign key field, such as `Annotated[int, Reference(Author)]`."""

    names: Mapping[int, str]
    """Labels by id: of all rows, or of some rows and the selected ones."""
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
    """Labels by value, if only these values are allowed."""
    values_by_text: Mapping[str, object]
    """Python values by their text, such as numbers of choices."""
    attributes: Mapping[str, Attribute]
    suffix: str = ""
    """Unit after the control."""
    rows: RowChoices | None = None
    """Choices of a `picker`, set by the form."""

    @property
    def is_closed(self) -> bool:
        """Whether only the listed choices are valid."""
        if self.rows:
            return not self.rows.lookup_url
        return bool(self.choices) and self.type != "checkbox"


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
        shape = _shape(properties[name], definitions)
        if shape.get("type") == "object" and options_of(info).type not in TEXT_LISTS:
            raise TypeError(f"{model.__name__}.{name} is a nested object, which a form cannot edit")
        controls[name] = _control(name, info, shape)
    return controls


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
    """Return several values as text of one box: a line each, or JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return "\n".join(map(as_text, value)) if type_ == LINES else json.dumps(value, ensure_ascii=False, indent=2)  # type: ignore[call-overload]  # a list


def _shape(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """Return the JSON schema of a value, with references resolved, or the first of several types."""
    if "$ref" in schema:
        return _shape(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "items" in schema:
        return {**_shape(schema["items"], definitions), "multiple": True}
    if "anyOf" not in schema:
        return schema
    types = [type_ for type_ in schema["anyOf"] if type_.get("type") != "null"]
    return {**_shape(types[0], definitions), "nullable": len(types) < len(schema["anyOf"])}


def _control(name: str, info: FieldInfo, shape: JsonSchemaValue) -> Control:
    html = options_of(info)
    choices = {**_choices(shape), **html.choices}
    if "" in choices:
        choices = {"": choices[""], **choices}
    type_ = html.type or (PICKER if reference_of(info) else _type(name, shape))
    example = str(info.examples[0]) if info.examples else None
    return Control(
        name=name,
        label=info.title or name.replace("_", " ").capitalize(),
        type=type_,
        # An empty checkbox is a valid value, unless the model only accepts True.
        required=shape.get("const") is True if type_ == "checkbox" else info.is_required(),
        multiple="multiple" in shape and type_ not in TEXT_LISTS,
        help=info.description or "",
        choices=choices,
        values_by_text={as_text(value): value for value in _enum_values(shape)},
        attributes={"placeholder": example, **_attributes(shape, type_), **html.attributes},
        suffix=html.suffix,
    )


def _choices(shape: JsonSchemaValue) -> dict[str, str]:
    if shape.get("type") == "boolean":
        return {"true": "Yes", "false": "No"} if shape.get("nullable") else {}
    texts = map(as_text, _enum_values(shape))
    return {text: text.replace("_", " ").capitalize() for text in texts}


def _enum_values(shape: JsonSchemaValue) -> list[object]:
    return shape.get("enum") or ([shape["const"]] if "const" in shape else [])


def _type(name: str, shape: JsonSchemaValue) -> str:
    if shape.get("multiple"):
        return "file" if shape.get("format") == "binary" else "checkboxes"
    if shape.get("type") == "boolean":
        return "select" if shape.get("nullable") else "checkbox"
    if "enum" in shape or "const" in shape:
        return "select"
    if shape.get("type") in ("integer", "number"):
        return "number"
    return "password" if "password" in name else TYPES_BY_FORMAT.get(shape.get("format", ""), "text")


def _attributes(shape: JsonSchemaValue, type_: str) -> dict[str, Attribute]:
    if type_ in (PICKER, *TEXT_LISTS, "select", "checkboxes", "checkbox", "radio"):
        return {}
    attributes: dict[str, Attribute] = {"max": LATEST[type_]} if type_ in LATEST else {}
    attributes |= {html: shape[name] for name, html in ATTRIBUTES.items() if name in shape}
    if attributes.get("pattern") == ONE_LINE or type_ in ("textarea", "markdown"):
        attributes.pop("pattern", None)
    if attributes.get("minlength") == 1:  # same as `required`
        del attributes["minlength"]
    if shape.get("type") == "number":
        return {"step": "any", **attributes}
    for name, bound, step in (("exclusiveMinimum", "min", 1), ("exclusiveMaximum", "max", -1)):
        if name in shape:
            attributes[bound] = shape[name] + step
    return attributes
