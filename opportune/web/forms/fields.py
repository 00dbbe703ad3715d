"""What a Pydantic model says of the HTML of its fields."""

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
"""A field that points at rows: a select that finds more of them while somebody types."""

LINES, JSON_TEXT = "lines", "json"
WRITTEN = (LINES, JSON_TEXT)
"""Fields of several values that are written in one box."""

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
    """What a field offers that points at rows, such as `Annotated[int, Reference(Author)]`."""

    names: Mapping[int, str]
    """What rows are called, by their ids: of all that can be chosen, or of some with those that are chosen already."""
    lookup_url: str = ""
    """Finds more while somebody types; empty where `names` has all of them."""
    add_url: str = ""
    """The form of a new row; empty for who may not add one."""
    add_label: str = ""


@dataclass(frozen=True)
class Control:
    """How a form asks for one field."""

    name: str
    label: str
    type: str
    """Of an `<input>`; or textarea, lines, json, markdown, select, radio, checkboxes, picker."""
    required: bool
    multiple: bool
    help: str
    choices: Mapping[str, str]
    """Words by value, where only these can be chosen."""
    meanings: Mapping[str, object]
    """What the model takes for a value that is no text, such as the number that a choice is."""
    attributes: Mapping[str, Attribute]
    suffix: str = ""
    """A unit, shown after the box."""
    rows: RowChoices | None = None
    """What a `picker` offers, once a form is told."""

    @property
    def is_closed(self) -> bool:
        """Whether nothing but its choices can be meant."""
        if self.rows:
            return not self.rows.lookup_url
        return bool(self.choices) and self.type != "checkbox"


@cache
def controls_of(model: type[BaseModel]) -> Mapping[str, Control]:
    """The fields of a model by name, in its order.

    Raises:
        TypeError: a field is no plain value.
    """
    schema = model.model_json_schema(by_alias=False)
    properties, definitions = schema["properties"], schema.get("$defs", {})
    controls = {}
    for name, info in model.model_fields.items():
        shape = _shape(properties[name], definitions)
        if shape.get("type") == "object" and options_of(info).type not in WRITTEN:
            raise TypeError(f"{model.__name__}.{name} is no plain value, so that no form can ask for it")
        controls[name] = _control(name, info, shape)
    return controls


def as_text(value: object) -> str:
    """A value as HTML writes it. Datetimes are converted to the visitor's time zone."""
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


def as_written(value: object, kind: str) -> str:
    """Several values as one box of a form has them: a line each, or as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return "\n".join(map(as_text, value)) if kind == LINES else json.dumps(value, ensure_ascii=False, indent=2)  # type: ignore[call-overload]  # a list


def _shape(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """The JSON schema of one kind of value: what a reference stands for; of several kinds the first."""
    if "$ref" in schema:
        return _shape(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "items" in schema:
        return {**_shape(schema["items"], definitions), "multiple": True}
    if "anyOf" not in schema:
        return schema
    kinds = [kind for kind in schema["anyOf"] if kind.get("type") != "null"]
    return {**_shape(kinds[0], definitions), "nullable": len(kinds) < len(schema["anyOf"])}


def _control(name: str, info: FieldInfo, shape: JsonSchemaValue) -> Control:
    html = options_of(info)
    choices = {**_choices(shape), **html.choices}
    if "" in choices:
        choices = {"": choices[""], **choices}
    kind = html.type or (PICKER if reference_of(info) else _type(name, shape))
    example = str(info.examples[0]) if info.examples else None
    return Control(
        name=name,
        label=info.title or name.replace("_", " ").capitalize(),
        type=kind,
        # A box that is not ticked is an answer, but where the model takes only the tick.
        required=shape.get("const") is True if kind == "checkbox" else info.is_required(),
        multiple="multiple" in shape and kind not in WRITTEN,
        help=info.description or "",
        choices=choices,
        meanings={as_text(value): value for value in _offered(shape)},
        attributes={"placeholder": example, **_attributes(shape, kind), **html.attributes},
        suffix=html.suffix,
    )


def _choices(shape: JsonSchemaValue) -> dict[str, str]:
    if shape.get("type") == "boolean":
        return {"true": "Yes", "false": "No"} if shape.get("nullable") else {}
    texts = map(as_text, _offered(shape))
    return {text: text.replace("_", " ").capitalize() for text in texts}


def _offered(shape: JsonSchemaValue) -> list[object]:
    """What is there to choose from."""
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


def _attributes(shape: JsonSchemaValue, kind: str) -> dict[str, Attribute]:
    if kind in (PICKER, *WRITTEN, "select", "checkboxes", "checkbox", "radio"):
        return {}
    found: dict[str, Attribute] = {"max": LATEST[kind]} if kind in LATEST else {}
    found |= {html: shape[name] for name, html in ATTRIBUTES.items() if name in shape}
    if found.get("pattern") == ONE_LINE or kind in ("textarea", "markdown"):
        found.pop("pattern", None)
    if found.get("minlength") == 1:  # that is what `required` says
        del found["minlength"]
    if shape.get("type") == "number":
        return {"step": "any", **found}
    for name, bound, inside in (("exclusiveMinimum", "min", 1), ("exclusiveMaximum", "max", -1)):
        if name in shape:
            found[bound] = shape[name] + inside
    return found
