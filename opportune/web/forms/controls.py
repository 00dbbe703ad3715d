"""Form controls for the fields of Pydantic models."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from opportune.db.models.labels import label_of
from opportune.db.models.references import reference_of
from opportune.db.models.translation import Translation
from opportune.i18n import get_language, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.parsing import Source
from opportune.schemas.annotations import Attribute, annotations_of, options_of
from opportune.search.folding import fold
from opportune.web.forms import schema_controls
from opportune.web.forms.input_texts import TEXT_LISTS, as_text, machine_format

MAX_CHECKBOXES = 10
"""Maximum number of rows that a field for several rows shows as checkboxes."""
EMPTY_MESSAGES = {
    "checkbox": _l("Please tick this."),
    "checkboxes": _l("Please tick at least one."),
    "file": _l("Please choose a file."),
    schema_controls.PICKER: _l("Please choose one."),
    "radio": _l("Please choose one."),
    "select": _l("Please choose one."),
}
"""Messages for a required field without a value, by its type."""
MIN_SORTED_CHOICES = 8
"""Number of choices whose alphabetical order in English is no coincidence."""
LANGUAGES_WITHOUT_ALPHABET = ("ja", "zh")
"""Languages whose lists keep the English order."""


class RowChoices(NamedTuple):
    """Choices of a foreign key field, such as `Annotated[int, Reference(Author)]`."""

    names: Mapping[Any, str]
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
    is_reference: bool = False
    """Whether the values are ids of rows."""
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
    sends_zone: bool = True
    """Whether a hidden input contains the zone."""
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
    properties = schema["properties"]
    definitions = schema.get("$defs", {})
    controls = {}
    for name, info in model.model_fields.items():
        field_schema = schema_controls.resolved_schema(properties[name], definitions)
        if field_schema.get("type") == "object" and options_of(info).type not in TEXT_LISTS:
            raise TypeError(f"{model.__name__}.{name} is a nested object, which a form cannot edit")
        controls[name] = _build_control(name, info, field_schema)
    return controls


def with_choices(control: Control, choices: Mapping[Any, str] | RowChoices) -> Control:
    """Return a control with choices that depend on the request."""
    rows = choices if isinstance(choices, RowChoices) else None
    labels = choices.names if isinstance(choices, RowChoices) else choices
    texts = {as_text(value): label for value, label in labels.items()}
    return replace(control, type=_type_with_choices(control, rows), rows=rows, choices=texts)


def _type_with_choices(control: Control, rows: RowChoices | None) -> str:
    if control.type in ("radio", "checkboxes"):
        return control.type
    if control.type != schema_controls.PICKER or rows is None or not (rows.lookup_url or control.multiple):
        return "select"
    has_few_rows = not rows.lookup_url and 0 < len(rows.names) <= MAX_CHECKBOXES
    return "checkboxes" if has_few_rows else schema_controls.PICKER


def _build_control(name: str, info: FieldInfo, schema: JsonSchemaValue) -> Control:
    options = options_of(info)
    choices = {**schema_controls.choices_of(schema), **options.choices}
    if "" in choices:
        choices = {"": choices[""], **choices}
    is_reference = reference_of(info) is not None
    type_ = options.type or (schema_controls.PICKER if is_reference else schema_controls.control_type(name, schema))
    example = _l(str(info.examples[0])) if info.examples else None
    # An empty checkbox is a valid value, unless the model only accepts True.
    is_required = schema.get("const") is True if type_ == "checkbox" else info.is_required()
    places = (getattr(constraint, "decimal_places", None) for constraint in info.metadata)
    decimals = next((number for number in places if number is not None), None)
    return Control(
        name=name,
        label=default_label(name, info),
        type=type_,
        required=is_required,
        multiple="multiple" in schema and type_ not in TEXT_LISTS,
        help=info.description or "",
        choices=choices,
        values_by_text={as_text(value): value for value in schema_controls.enum_values(schema)},
        attributes={"placeholder": example, **schema_controls.attributes_of(schema, type_), **options.attributes},
        suffix=options.suffix,
        is_reference=is_reference,
        is_translated=any(annotations_of(info, Translation)),
        decimals=0 if schema.get("type") == "integer" else decimals,
    )


def default_label(name: str, info: FieldInfo) -> str:
    """Return the title of a field, or a label from its name: a reference `author_id` is "Author"."""
    is_reference = reference_of(info) is not None
    return info.title or label_of(re.sub("_ids$", "_id", name) if is_reference else name, is_reference=is_reference)


def to_machine_format(control: Control, text: str, source: Source = Source.FORM) -> str:
    """Convert a number or date from the visitor's format.

    Raises:
        ValueError: The text has another format. The message is for the visitor.
    """
    return machine_format(control.type, text, control.suffix, decimals=control.decimals, source=source)


def translated_choices(choices: Mapping[str, str]) -> dict[str, str]:
    """Return choices with translated labels. A long list that is sorted in English is sorted in all languages."""
    translated = {value: gettext(label) for value, label in choices.items()}
    labels = [fold(label) for value, label in choices.items() if value]
    is_sorted = len(labels) >= MIN_SORTED_CHOICES and labels == sorted(labels)
    if not is_sorted or get_language().code.startswith(LANGUAGES_WITHOUT_ALPHABET):
        return translated
    return dict(sorted(translated.items(), key=lambda choice: (choice[0] != "", fold(choice[1]))))


def html_attributes(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Return attributes for Jinja's `xmlattr`, where True is an empty value and False leaves the attribute out.

    Browsers cut a pasted text at `maxlength` without a message. site.js shows the limit of `data-maxlength` instead.
    """
    html = {name: value for name, value in attributes.items() if value is not False}
    html |= {name: "" for name, value in html.items() if value is True}
    if "maxlength" in html:
        html["data-maxlength"] = html.pop("maxlength")
    return html
