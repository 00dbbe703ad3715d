"""Form fields for the columns of models, and their choice by column.

They parse and render values like the forms of the site's pages.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel, ValidationError
from sqladmin.forms import ModelConverter
from sqlalchemy import Column
from sqlalchemy.orm import ColumnProperty
from starlette.datastructures import FormData

from opportune.admin.forms.wtforms_classes import Field, InputRequired
from opportune.crud.schemas import value_schema
from opportune.db.models.columns import is_text, label_of_field, type_of
from opportune.db.models.translated import is_translated, site_language, texts_of, writing_language
from opportune.i18n import find_language, format_lazy, gettext, gettext_lazy
from opportune.i18n.languages import content_languages
from opportune.i18n.parsing import Source
from opportune.schemas.annotations import options_of
from opportune.web.forms.controls import Control, controls_of, html_attributes, to_machine_format, translated_choices
from opportune.web.forms.controls import Field as PageField
from opportune.web.forms.error_messages import INVALID_DATE, INVALID_DATETIME, INVALID_TIME, message_for
from opportune.web.forms.field_values import parse_local_time
from opportune.web.forms.form_state import ZONE_SUFFIX
from opportune.web.forms.input_texts import (
    DATETIME_LOCAL,
    JSON_TEXT,
    LINES,
    TEXT_LISTS,
    as_text,
    as_text_list,
    input_type,
    parse_json,
)
from opportune.web.forms.translations import form_languages, submitted_texts, translation_fields
from opportune.web.rendering.templates import templates
from opportune.web.time_zone import current_zone, local, parse_zone_name, zone_name

MAX_LINE_LENGTH = 255
LINE_BREAK = re.compile(r"\r\n?")
NO_CHOICE = "__None"
"""The text that means no choice in imported rows."""
MAX_LISTED_CHOICES = 10
FIELD_TEXTS = ("label", "description")
"""Options of `form_args` that pages translate."""
STYLES = {"form-control", "form-select", "is-invalid"}
"""CSS classes that the macro `box` adds."""
TIME_ERRORS = {"date": INVALID_DATE, "time": INVALID_TIME, DATETIME_LOCAL: INVALID_DATETIME}
"""Error messages by type, for texts without a separator. Pydantic would read a plain number as seconds since 1970."""


def is_multiline(column: Column[Any] | Any) -> bool:
    """Return whether a text column is long enough for several lines. Without a length, it is."""
    length = getattr(type_of(column), "length", None)
    return is_text(column) and (not length or length > MAX_LINE_LENGTH)


class FileCells(FormData):
    """Cells of an imported file. All its numbers and dates have one format."""

    def __init__(self, cells: Mapping[str, str], source: Source) -> None:
        super().__init__(cells)
        self.source = source


class ModelField(Field):  # type: ignore[misc]  # its base has no types
    """A field for a column. If the user has not changed the text, the stored value is kept exactly."""

    def __init__(
        self,
        *args: Any,
        schema: type[BaseModel],
        column: Column[Any],
        lines: bool | None = None,
        format: str | Sequence[str] = (),
        validators: Sequence[Any] = (),
        has_default: bool = False,
        **options: Any,
    ) -> None:
        # SQLAdmin requires a value if the column has no default, which `sa_column` leaves to the model.
        used = [item for item in validators if not (has_default and isinstance(item, InputRequired))]
        super().__init__(*args, validators=used, **options)
        self.schema = schema
        self.control = _build_control(schema, column, lines)
        self.formats = [format] if isinstance(format, str) else format
        """Further formats of dates and times, such as `%d.%m.%Y`."""
        self.is_nullable = bool(column.nullable)
        self.is_text = is_text(column) and ("" in self.control.choices or not self.control.choices)
        self.is_zoned = bool(getattr(type_of(column), "timezone", False))
        self.zone = ""

    def process(self, formdata: Any, *args: Any, **options: Any) -> None:
        self.source = formdata.source if isinstance(formdata, FileCells) else Source.FORM
        self.sent_zone = parse_zone_name(formdata.get(self.name + ZONE_SUFFIX)) if formdata else ""
        super().process(formdata, *args, **options)

    def process_data(self, value: Any) -> None:
        super().process_data(value)
        if self.is_zoned:
            is_aware = isinstance(value, datetime) and value.tzinfo
            self.zone = zone_name(local(value)) if is_aware else str(current_zone.get())

    def process_formdata(self, valuelist: list[str]) -> None:
        if self.control.type == "checkbox":
            self.data: Any = bool(valuelist) and valuelist[0] not in ("", "false", "False")
        elif valuelist:
            text, stored = _normalize_line_breaks(valuelist[0]), self.object_data
            is_same_zone = self.sent_zone in ("", self.zone)
            self.zone = self.sent_zone or self.zone
            is_unchanged = stored is not None and is_same_zone and text == _normalize_line_breaks(self._format(stored))
            self.data = stored if is_unchanged else self._parse(text)

    def _parse(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            ValueError: The text is invalid. The message is for the user.
        """
        self.data = None
        if text == NO_CHOICE or not (text if self.is_text else text.strip()):
            return "" if self.is_text and text != NO_CHOICE else None
        try:
            return self.schema(value=self._parse_control(text)).value  # type: ignore[attr-defined]  # made for the column
        except ValidationError as error:
            raise ValueError(self._message_for(error.errors()[0])) from None

    def _message_for(self, error: Mapping[str, Any]) -> str:
        return message_for(error)

    def _parse_control(self, text: str) -> Any:
        control = self.control
        if control.type == JSON_TEXT:
            return parse_json(text)
        if control.type == LINES and text.startswith("["):
            with suppress(ValueError):
                return parse_json(text)
            return text
        if control.choices:
            return self._parse_choice(text)
        if control.type in TIME_ERRORS:
            return self._parse_time(text)
        return to_machine_format(control, text, self.source)

    def _parse_choice(self, text: str) -> Any:
        control = self.control
        choice = find_choice(control.choices, text)
        if choice not in control.choices:
            labels = [label for value, label in translated_choices(control.choices).items() if value]
            examples = labels[:MAX_LISTED_CHOICES]
            more = ", …" if len(labels) > len(examples) else ""
            raise ValueError(gettext("Choose one of: %(choices)s.", choices=", ".join(examples) + more))
        return control.values_by_text.get(choice, choice)

    def _parse_time(self, text: str) -> str | datetime:
        for pattern in self.formats:
            with suppress(ValueError):
                text = datetime.strptime(text, pattern).isoformat()  # noqa: DTZ007 - the time zone is added below
        text = to_machine_format(self.control, text, self.source)
        if not re.search(r"\d[-:]\d", text):
            raise ValueError(gettext(TIME_ERRORS[self.control.type]))
        return parse_local_time(text, self.zone) if self.is_zoned else text

    def _format(self, value: Any) -> str:
        return as_text_list(value, self.control.type) if self.control.type in TEXT_LISTS else as_text(value)

    @property
    def text(self) -> str:
        """The text in the input element."""
        return str(self.raw_data[0]) if self.raw_data else self._format(self.data)

    @property
    def plain_text(self) -> str:
        """The text without differences that browsers make."""
        return _normalize_line_breaks(self.text).strip()

    def __call__(self, **attributes: Any) -> Markup:
        """Render the input element, without label and errors."""
        page_field, classes = self._page_field(attributes)
        html: Markup = macros().box(page_field, " ".join(sorted(classes)))
        return html

    def _page_field(self, attributes: Mapping[str, Any]) -> tuple[PageField, set[str]]:
        """Return the field for the macros, and its CSS classes."""
        options = {**(self.render_kw or {}), **attributes}
        extra = {name.rstrip("_").replace("_", "-"): value for name, value in options.items()}
        classes = {*str(extra.pop("class", "")).split()} - STYLES
        control, text = self.control, self.text
        is_long = control.type == "textarea" or (control.type == "text" and re.search(r"[\r\n]", text))
        if is_long:
            classes.add("growing")
            extra.setdefault("rows", 1)
        if control.type in TIME_ERRORS and text.count(":") > 1:
            extra.setdefault("step", 1)
        required = bool(self.flags.required)
        choices = translated_choices(self._choices_with(text))
        return PageField(
            label=self.label.text,
            type="textarea" if is_long else input_type(control.type, text),
            required=required,
            help=self.description,
            error=" ".join(map(str, self.errors)),
            values=[text],
            choices={"": "", **choices} if self.is_nullable else choices,
            zone=self.zone,
            attributes=html_attributes(
                {"id": self.id, "name": self.name, "required": required, **control.attributes, **extra}
            ),
        ), classes

    def _choices_with(self, text: str) -> Mapping[str, str]:
        """Return the choices and the stored text, which may be no choice. Browsers would send another one for it."""
        choices = self.control.choices
        is_other = bool(choices) and text and text not in choices and text == self._format(self.object_data)
        return {**choices, text: text} if is_other else choices


def find_choice(choices: Mapping[str, str], text: str) -> str:
    """Return the choice with this value or label, in any case, or the text if there is none or several."""
    if text in choices:
        return text
    word = text.strip().lower()
    labels = translated_choices(choices).items()
    matches = [value for value, label in labels if word in (value.lower(), value and label.lower())]
    return matches[0] if len(matches) == 1 else text


def macros() -> Any:
    return templates.environment.get_template("macros/forms.html").module


def _build_control(schema: type[BaseModel], column: Column[Any], lines: bool | None) -> Control:
    """Return the control of a column. `lines` says whether a text has several; None decides by its length."""
    control = controls_of(schema)["value"]
    if control.choices and control.type not in TEXT_LISTS:
        may_be_empty = schema.model_fields["value"].default == ""
        return replace(control, type="select", choices={"": "", **control.choices} if may_be_empty else control.choices)
    if lines is None:
        lines = is_multiline(column) and control.type in ("text", "textarea")
    if lines:
        return replace(control, type="textarea")
    return replace(control, type="text") if control.type in ("textarea", "hidden", "file") else control


def _normalize_line_breaks(text: str) -> str:
    """Return the text with `\\n` as line break. Browsers send `\\r\\n`."""
    return LINE_BREAK.sub("\n", text)


def titles_of(model: type[Any]) -> dict[str, str]:
    """Return the titles in the fields of a model, each with its unit."""
    titles: dict[str, str] = {}
    for name, info in getattr(model, "model_fields", {}).items():
        unit = options_of(info).suffix
        if info.title or unit:
            label = label_of_field(model, name)
            titles[name] = format_lazy("%(label)s (%(unit)s)", label=label, unit=gettext_lazy(unit)) if unit else label
    return titles


class TranslatedField(ModelField):
    """A field with an input for each language, such as `title.en` and `title.de`. Its text is an object of JSON.

    If the site has one language, it has one input with a plain text. Imports may contain both.
    """

    invalid_language = ""
    """Language of the text that was refused."""

    def process(self, formdata: Any, *args: Any, **options: Any) -> None:
        if formdata and (texts := submitted_texts(formdata, self.name)) is not None:
            formdata = FormData([(self.name, _to_json(texts))])
        super().process(formdata, *args, **options)

    def _parse_control(self, text: str) -> Any:
        return _parse_texts(text)

    def _message_for(self, error: Mapping[str, Any]) -> str:
        self.invalid_language = next((part for part in error["loc"] if part in content_languages()), "")
        language = find_language(self.invalid_language) if form_languages() else None
        message = super()._message_for(error)
        return f"{language.name}: {message}" if language else message

    def _format(self, value: Any) -> str:
        texts = texts_of(value or "")
        return _to_json(texts) if form_languages() else texts.get(site_language(), "")

    def __call__(self, **attributes: Any) -> Markup:
        if not form_languages():
            return super().__call__(**attributes)
        page_field, _ = self._page_field({name: value for name, value in attributes.items() if name != "aria_label"})
        value = _parse_texts(self.text)
        texts = value if isinstance(value, dict) else {writing_language(): value}
        errors = {self.invalid_language or site_language(): page_field.error}
        inputs = translation_fields(page_field, self.name, texts, errors, has_messages=False)
        html: Markup = macros().translations(replace(page_field, translations=inputs), has_messages=False)
        return html


def _to_json(texts: Mapping[str, str]) -> str:
    present = {code: texts[code] for code in content_languages() if texts.get(code)}
    return json.dumps(present, ensure_ascii=False) if present else ""


def _parse_texts(text: str) -> Any:
    """Return the texts by language, or the text itself if it is not an object of JSON."""
    try:
        texts = json.loads(text) if text.startswith("{") else text
    except (ValueError, RecursionError):
        return text
    return texts if isinstance(texts, dict) else text


class AdminConverter(ModelConverter):
    """Converts columns to `ModelField`, unless the view names a WTForms field in `form_overrides`."""

    async def convert(self, model: Any, prop: Any, *args: Any, **options: Any) -> Any:
        if isinstance(prop, ColumnProperty):
            column, info = prop.columns[0], getattr(model, "model_fields", {}).get(prop.key)
            defaults: dict[str, Any] = (
                {"description": gettext_lazy(info.description)} if info and info.description else {}
            )
            if prop.key in (options.get("form_ajax_refs") or ()):
                defaults["allow_blank"] = column.nullable
            elif not options.get("override"):
                options["override"] = TranslatedField if is_translated(column) else ModelField
                defaults |= {"schema": value_schema(model, prop.key), "column": column}
                if info and not info.is_required() and column.default is None:
                    default = info.get_default(call_default_factory=True, validated_data={})
                    defaults |= {"default": default, "has_default": True}
            texts = {name: gettext_lazy(text) for name, text in options["field_args"].items() if name in FIELD_TEXTS}
            options["field_args"] = defaults | options["field_args"] | texts
        return await super().convert(model, prop, *args, **options)
