"""Form field for a column of a model, which parses and renders values like the forms of the site's pages."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from markupsafe import Markup
from pydantic import BaseModel, ValidationError
from sqlalchemy import Column
from starlette.datastructures import FormData
from wtforms import Field
from wtforms.validators import InputRequired

from opportune.db.models.columns import is_text, type_of
from opportune.i18n import gettext
from opportune.i18n.parsing import Source
from opportune.web.forms import input_texts
from opportune.web.forms.controls import Control, controls_of, html_attributes, to_machine_format, translated_choices
from opportune.web.forms.controls import Field as PageField
from opportune.web.forms.error_messages import INVALID_DATE, INVALID_DATETIME, INVALID_TIME, message_for
from opportune.web.forms.field_values import parse_local_time
from opportune.web.forms.form_state import ZONE_SUFFIX
from opportune.web.rendering.templates import templates
from opportune.web.time_zone import current_zone, local, parse_zone_name, zone_name

MAX_LINE_LENGTH = 255
LINE_BREAK = re.compile(r"\r\n?")
NO_CHOICE = "__None"
"""The text that means no choice in imported rows."""
MAX_LISTED_CHOICES = 10
STYLES = {"form-control", "form-select", "is-invalid"}
"""CSS classes that the macro `box` adds."""
TIME_ERRORS = {"date": INVALID_DATE, "time": INVALID_TIME, input_texts.DATETIME_LOCAL: INVALID_DATETIME}
"""Error messages by type, for texts without a separator. Pydantic would read a plain number as seconds since 1970."""


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
        self.refusal: Mapping[str, Any] = {}
        """Details of Pydantic's error, if the submitted text was refused."""

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
            text = _normalize_line_breaks(valuelist[0])
            stored = self.object_data
            is_same_zone = self.sent_zone in ("", self.zone)
            self.zone = self.sent_zone or self.zone
            is_unchanged = stored is not None and is_same_zone and text == _normalize_line_breaks(self._format(stored))
            self.data = None  # shown instead if the text is refused
            self.data = stored if is_unchanged else self._parse(text)

    def _parse(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            ValueError: The text is invalid. The message is for the user.
        """
        if text == NO_CHOICE or not (text if self.is_text else text.strip()):
            return "" if self.is_text and text != NO_CHOICE else None
        try:
            return self.schema(value=self._parse_control(text)).value  # type: ignore[attr-defined]  # made for the column
        except ValidationError as error:
            self.refusal = error.errors()[0]
            raise ValueError(self._message_for(self.refusal)) from None

    def _message_for(self, error: Mapping[str, Any]) -> str:
        return message_for(error)

    def _parse_control(self, text: str) -> Any:
        if self.control.type == input_texts.JSON_TEXT:
            return input_texts.parse_json(text)
        if self.control.type == input_texts.LINES and text.startswith("["):
            with suppress(ValueError):
                return input_texts.parse_json(text)
            return text
        if self.control.choices:
            return self._parse_choice(text)
        if self.control.type in TIME_ERRORS:
            return self._parse_time(text)
        return to_machine_format(self.control, text, self.source)

    def _parse_choice(self, text: str) -> Any:
        choice = find_choice(self.control.choices, text)
        if choice not in self.control.choices:
            labels = [label for value, label in translated_choices(self.control.choices).items() if value]
            examples = labels[:MAX_LISTED_CHOICES]
            more = ", …" if len(labels) > len(examples) else ""
            raise ValueError(gettext("Choose one of: %(choices)s.", choices=", ".join(examples) + more))
        return self.control.values_by_text.get(choice, choice)

    def _parse_time(self, text: str) -> str | datetime:
        for pattern in self.formats:
            with suppress(ValueError):
                value = datetime.strptime(text, pattern)  # noqa: DTZ007 - the time zone is added below
                text = (value.time() if self.control.type == "time" else value).isoformat()
                break
        text = to_machine_format(self.control, text, self.source)
        if not re.search(r"\d[-:]\d", text):
            raise ValueError(gettext(TIME_ERRORS[self.control.type]))
        return parse_local_time(text, self.zone) if self.is_zoned else text

    def _format(self, value: Any) -> str:
        if self.control.type in input_texts.TEXT_LISTS:
            return input_texts.as_text_list(value, self.control.type)
        return input_texts.as_text(value)

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
        return cast("Markup", macros().box(page_field, " ".join(sorted(classes))))

    def _page_field(self, attributes: Mapping[str, Any]) -> tuple[PageField, set[str]]:
        """Return the field for the macros, and its CSS classes."""
        options = {**(self.render_kw or {}), **attributes}
        extra = {name.rstrip("_").replace("_", "-"): value for name, value in options.items()}
        classes = {*str(extra.pop("class", "")).split()} - STYLES
        text = self.text
        is_long = self.control.type == "textarea" or (self.control.type == "text" and re.search(r"[\r\n]", text))
        if is_long:
            classes.add("growing")
            extra.setdefault("rows", 1)
        if self.control.type in TIME_ERRORS and text.count(":") > 1:
            extra.setdefault("step", 1)
        required = bool(self.flags.required)
        choices = translated_choices(self._choices_with(text))
        attributes = {"id": self.id, "name": self.name, "required": required, **self.control.attributes, **extra}
        page_field = PageField(
            label=self.label.text,
            type="textarea" if is_long else input_texts.input_type(self.control.type, text),
            required=required,
            help=self.description,
            error=" ".join(map(str, self.errors)),
            values=[text],
            choices={"": "", **choices} if self.is_nullable else choices,
            zone=self.zone,
            attributes=html_attributes(attributes),
        )
        return page_field, classes

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
    matches = [value for value, label in labels if word == value.lower() or (value and word == label.lower())]
    return matches[0] if len(matches) == 1 else text


def macros() -> Any:
    return templates.environment.get_template("macros/forms.html").module


def _build_control(schema: type[BaseModel], column: Column[Any], lines: bool | None) -> Control:
    """Return the control of a column. `lines` says whether a text has several; None decides by its length."""
    control = controls_of(schema)["value"]
    if control.choices and control.type not in input_texts.TEXT_LISTS:
        may_be_empty = schema.model_fields["value"].default == ""
        return replace(control, type="select", choices={"": "", **control.choices} if may_be_empty else control.choices)
    if lines is None:
        lines = _is_multiline(column) and control.type in ("text", "textarea")
    if lines:
        return replace(control, type="textarea")
    return replace(control, type="text") if control.type in ("textarea", "hidden", "file") else control


def _is_multiline(column: Column[Any] | Any) -> bool:
    """Return whether a text column is long enough for several lines. Without a length, it is."""
    length = getattr(type_of(column), "length", None)
    return is_text(column) and (not length or length > MAX_LINE_LENGTH)


def _normalize_line_breaks(text: str) -> str:
    """Return the text with `\\n` as line break. Browsers send `\\r\\n`."""
    return LINE_BREAK.sub("\n", text)
