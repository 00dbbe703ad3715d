"""The type, choices and HTML attributes of a control, derived from the JSON schema of its field."""

from decimal import ROUND_CEILING, Decimal

from pydantic.json_schema import JsonSchemaValue

from opportune.i18n.translation import DerivedLabel
from opportune.schemas.annotations import Attribute
from opportune.schemas.text import ONE_LINE
from opportune.web.forms.input_texts import DATETIME_LOCAL, TEXT_LISTS, as_text

PICKER = "picker"
"""Type of a foreign key field: a select that searches more rows while the user types."""
TYPES_WITHOUT_LIMITS = (PICKER, *TEXT_LISTS, "select", "checkboxes", "checkbox", "radio")
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
MAX_VALUES = {"date": "9999-12-31", DATETIME_LOCAL: "9999-12-31T23:59"}
"""Attribute `max` by input type. Without it, browsers expect years of six digits while the user types."""
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


def resolved_schema(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """Return the JSON schema with resolved references. Of unions, only the main type remains."""
    if "$ref" in schema:
        return resolved_schema(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "items" in schema:
        return {**resolved_schema(schema["items"], definitions), "multiple": True}
    if "anyOf" not in schema:
        return schema
    resolved = {**resolved_schema(_main_type(schema["anyOf"]), definitions)}
    resolved["nullable"] = {"type": "null"} in schema["anyOf"]
    if "format" in schema:
        resolved["format"] = schema["format"]
    return resolved


def _main_type(union: list[JsonSchemaValue]) -> JsonSchemaValue:
    """Return the first type of a union that is not null. Of `int | float`, return the float."""
    types = [type_ for type_ in union if type_.get("type") != "null"]
    if types[0].get("type") != "integer":
        return types[0]
    return next((type_ for type_ in types if type_.get("type") == "number"), types[0])


def control_type(name: str, schema: JsonSchemaValue) -> str:
    if schema.get("multiple"):
        return "file" if schema.get("format") == "binary" else "checkboxes"
    if schema.get("type") == "boolean":
        return "select" if schema.get("nullable") else "checkbox"
    if "enum" in schema or "const" in schema:
        return "select"
    if schema.get("type") in ("integer", "number"):
        return "number"
    if "password" in name:
        return "password"
    return TYPES_BY_FORMAT.get(schema.get("format", ""), "text")


def choices_of(schema: JsonSchemaValue) -> dict[str, str]:
    """Return the labels of the values that the schema lists, by their HTML text."""
    if schema.get("type") == "boolean":
        return {"true": "Yes", "false": "No"} if schema.get("nullable") else {}
    texts = map(as_text, enum_values(schema))
    return {text: DerivedLabel(text.replace("_", " ").capitalize()) for text in texts}


def enum_values(schema: JsonSchemaValue) -> list[object]:
    return schema.get("enum") or ([schema["const"]] if "const" in schema else [])


def attributes_of(schema: JsonSchemaValue, type_: str) -> dict[str, Attribute]:
    """Return the HTML attributes for the limits of a field, such as `maxlength`."""
    if type_ in TYPES_WITHOUT_LIMITS:
        return {}
    attributes: dict[str, Attribute] = {"max": MAX_VALUES[type_]} if type_ in MAX_VALUES else {}
    attributes |= {name: schema[keyword] for keyword, name in ATTRIBUTES_BY_KEYWORD.items() if keyword in schema}
    if attributes.get("minlength") == 1:  # same as `required`
        del attributes["minlength"]
    pattern = str(attributes.pop("pattern", ONE_LINE))
    if pattern != ONE_LINE and type_ not in ("textarea", "markdown"):
        attributes["pattern"] = _whole_pattern(pattern)
    is_fraction = schema.get("type") == "number"
    if not is_fraction:
        attributes |= _limits_of_integers(schema)
    if "min" in attributes and "step" in attributes:
        attributes["min"] = _first_step(attributes["min"], attributes["step"])
    return {"step": "any", **attributes} if is_fraction else attributes


def _whole_pattern(pattern: str) -> str:
    """Return a pattern for browsers, which compare it with the whole text. Pydantic searches it in the text."""
    is_whole = pattern.startswith("^") and pattern.endswith("$") and "|" not in pattern
    return pattern if is_whole else f".*(?:{pattern}).*"


def _limits_of_integers(schema: JsonSchemaValue) -> dict[str, Attribute]:
    """Return the limits of integers that must be more or less than a number."""
    limits: dict[str, Attribute] = {}
    if "exclusiveMinimum" in schema:
        limits["min"] = schema["exclusiveMinimum"] + 1
    if "exclusiveMaximum" in schema:
        limits["max"] = schema["exclusiveMaximum"] - 1
    return limits


def _first_step(minimum: Attribute, step: Attribute) -> str:
    """Return the first multiple of the step from the minimum on, because browsers count steps from `min`."""
    size = Decimal(str(step))
    return str((Decimal(str(minimum)) / size).to_integral_value(ROUND_CEILING) * size + 0)
