"""Fields of forms for the types of `opportune.fields`: what the annotation of a field says holds here too."""

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from pydantic.fields import FieldInfo
from sqladmin.fields import BooleanField, SelectField
from wtforms import Field, TextAreaField  # type: ignore[import-untyped]  # has no types
from wtforms.widgets import CheckboxInput  # type: ignore[import-untyped]  # has no types

from opportune.db.columns import choice_label, choice_value, label_of
from opportune.schemas.annotations import FieldOptions, options_of
from opportune.web.forms.error_messages import JSON_WANTED
from opportune.web.forms.fields import JSON_TEXT, LINES, as_written

LINE_TYPES = {"email", "search", "tel", "text", "url"}
"""Kinds that never have several lines, however long they may be."""


class ChoiceField(SelectField):
    """One of the values of an Enum or a Literal, or of those that have a word."""

    def __init__(
        self, *args: Any, values: tuple[Any, ...], words: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        words = words or {}
        options |= {
            "choices": [
                (choice_value(value), words.get(choice_value(value)) or choice_label(value)) for value in values
            ],
            "coerce": self._value_of,
        }
        super().__init__(*args, **options)
        self.values = values

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            few = ", ".join(map(choice_value, self.values[:10])) + (", …" if len(self.values) > 10 else "")
            raise ValueError(f"Choose one of: {few}.") from None

    def _value_of(self, given: Any) -> Any:
        for value in self.values:
            if given is value or str(given) == choice_value(value):
                return value
        raise ValueError


class CheckboxWidget(CheckboxInput):  # type: ignore[misc]  # its base has no types
    """A checkbox beside its label. SQLAdmin's looks like a switch, which would take effect without saving."""

    def __call__(self, field: Field, **options: Any) -> Markup:
        box = Markup('<div class="d-flex align-items-center h-100">{}</div>')
        return box.format(super().__call__(field, **options))


class CheckboxField(BooleanField):
    widget = CheckboxWidget()


class LinesField(TextAreaField):  # type: ignore[misc]  # its base has no types
    """A list of texts, a line each. An import may have it as JSON."""

    def _value(self) -> str:
        return str(self.raw_data[0]) if self.raw_data else as_written(self.data, LINES)

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data = _list_in(valuelist[0]) or [line for line in map(str.strip, valuelist[0].splitlines()) if line]


class JsonTextField(TextAreaField):  # type: ignore[misc]  # as above
    """JSON, with an indent for who reads it."""

    def _value(self) -> str:
        return str(self.raw_data[0]) if self.raw_data else as_written(self.data, JSON_TEXT)

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            try:
                self.data = json.loads(valuelist[0]) if valuelist[0].strip() else None
            except (ValueError, RecursionError):
                self.data = None
                raise ValueError(JSON_WANTED) from None


FIELDS: Mapping[str, type[Field]] = {LINES: LinesField, JSON_TEXT: JsonTextField}


def titles_of(model: type[Any]) -> dict[str, str]:
    """What the model itself calls its fields, with the units of those that have one."""
    found = {}
    for name, info in getattr(model, "model_fields", {}).items():
        unit = options_of(info).suffix
        if info.title or unit:
            found[name] = (info.title or label_of(name)) + (f" ({unit})" if unit else "")
    return found


def arguments_for(info: FieldInfo, options: FieldOptions) -> dict[str, Any]:
    """What a field of a form is made with, of what the model says."""
    attributes = {name: value for name, value in options.attributes.items() if value not in (None, False)}
    found: dict[str, Any] = {"render_kw": {"class": "form-control", **attributes}}
    if info.description:
        found["description"] = info.description
    if options.type == "markdown":
        found["render_kw"]["data-markdown"] = True
    return found


def choices_in(options: FieldOptions, info: FieldInfo) -> tuple[Any, ...]:
    """The values that have words; also none, where that is what the field has at first."""
    return (*([""] if info.default == "" else []), *options.choices)


def _list_in(text: str) -> list[Any] | None:
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
