"""HTML forms for Pydantic models, with errors beside the fields."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

from fastapi import HTTPException, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, QueryParams, UploadFile

from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.annotations import Attribute
from opportune.web.forms.control_schema import PICKER
from opportune.web.forms.controls import (
    EMPTY_MESSAGES,
    Control,
    Field,
    RowChoices,
    controls_of,
    html_attributes,
    translated_choices,
    with_choices,
)
from opportune.web.forms.error_messages import messages_by_field
from opportune.web.forms.initial_values import initial_texts, initial_value, initial_values, time_zones
from opportune.web.forms.input_texts import input_type
from opportune.web.forms.submitted_values import parse_texts, texts_of_field
from opportune.web.forms.translations import (
    current_input,
    form_languages,
    input_name,
    submitted_texts,
    translation_fields,
)
from opportune.web.forms.uploads import Upload, allow_files, file_attributes, read_upload
from opportune.web.time_zone import parse_zone_name

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

Choices = Mapping[str, Mapping[Any, str] | RowChoices]
"""Labels by value, or rows, for each field whose choices depend on the request."""

SEARCH_SUFFIX = ".search"
"""Suffix of the search field beside a picker, for browsers without JavaScript."""

MAX_FIELDS = 1_000
MAX_FILES = 20
CHOOSE_AGAIN = _l("Please choose the file again.")
ROW_ID = re.compile("[0-9]{1,18}")
ZONE_SUFFIX = ".zone"
"""Suffix of the hidden field that contains the time zone of a displayed time."""
CLEAR_VALUE = "clear"
"""Value of the checkbox that removes a stored file."""
FILTER_PREFIX = "filter-"
"""Prefix of the ids of filter forms. Their times are in UTC, and another form may have a field of the same name."""


class Form(Generic[M]):
    """A form for a Pydantic model, empty or with the values of a row (or mapping).

    `read_form` fills it from a request. If the input is valid, `data` is an instance of the model. Otherwise `errors`
    has a message for each invalid field; the key `""` is for the form as a whole. Templates show `values`, which never
    contain passwords.
    """

    none_label = "None"
    """Label of the empty choice. Filters of a list use "Any"."""

    def __init__(self, model: type[M], row: object = None, *, choices: Choices | None = None, prefix: str = "") -> None:
        self.model = model
        self.prefix = prefix
        """Prefix of the ids, for pages with two forms that have fields of the same name."""
        self.controls = {**controls_of(model)}
        self.offer(choices or {})
        self.values: dict[str, str | list[str]] = initial_values(model, self.controls, row, is_in_utc=self.is_in_utc)
        for name in self._translated_names:
            texts = initial_texts(model, name, row)
            codes = [language.code for language in form_languages()]
            self.values |= {input_name(name, code): texts.get(code, "") for code in codes}
        self.zones: dict[str, str] = time_zones(model, self.controls, row, is_in_utc=self.is_in_utc)
        """Time zone names by field, for fields with a time."""
        self.data: M | None = None
        self.errors: dict[str, str] = {}
        self.error_status = 422
        """Status of the response if the form has errors."""
        self.headers: dict[str, str] = {}
        """Headers of that response, such as `Retry-After`."""
        self.files: dict[str, list[Upload]] = {}
        """Uploads by field. After an error the user must select them again, because a page cannot fill in a file."""
        self.stored_files = {
            name: getattr(row, name)
            for name, control in self.controls.items()
            if control.type == "file" and not control.multiple and getattr(row, name, None)
        }
        """Stored files of the row by field. A new upload replaces them."""
        self.cleared: set[str] = set()
        """Fields whose stored file the user removes."""
        self.texts: Mapping[str, tuple[str, str]] = {}
        """Label and text of read-only fields."""
        self.left_out: Collection[str] = ()
        """Fields that are neither shown nor read, even if a template contains them."""

    @property
    def is_in_utc(self) -> bool:
        """Whether times are in UTC. Filters use UTC, because they become query parameters."""
        return self.prefix == FILTER_PREFIX

    def offer(self, choices: Choices) -> None:
        """Set the choices that depend on the request."""
        controls = controls_of(self.model)
        self.controls |= {name: with_choices(controls[name], options) for name, options in choices.items()}

    def leave_out(self, names: Collection[str], texts: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Remove fields from the form.

        Args:
            names: Fields to remove.
            texts: Label and text by field, for fields that are shown as read-only text.
        """
        self.texts = texts or {}
        self.left_out = {*names} - self.texts.keys()
        for name in names:
            self.controls.pop(name, None)
            self.values.pop(name, None)
            self.stored_files.pop(name, None)

    def selected_ids(self, name: str) -> list[int]:
        """Return the ids of the rows that are selected in a foreign key field."""
        values = self.values.get(name, "")
        texts = [values] if isinstance(values, str) else values
        return [int(text) for text in texts if ROW_ID.fullmatch(text)]

    def prefill(self, query: QueryParams) -> None:
        """Fill in fields from query parameters, except passwords and files."""
        for name in self.values.keys() & query.keys():
            texts, control = query.getlist(name), self.controls.get(name)
            self.values[name] = texts if control and control.multiple else texts[-1]
            if name in self._translated_names:
                self.values[current_input(name)] = texts[-1]

    def fill_from(self, row: object) -> None:
        """Show the values of a row (or mapping)."""
        filled = Form(self.model, row, prefix=self.prefix)
        self.values |= {name: value for name, value in filled.values.items() if name in self.values}
        self.zones |= filled.zones

    @property
    def _translated_names(self) -> Sequence[str]:
        """Fields with an input for each language."""
        if not form_languages():
            return []
        return [name for name, control in self.controls.items() if control.is_translated]

    @property
    def _input_names(self) -> Iterator[str]:
        for name in self.controls:
            yield name
            if self.controls[name].is_translated:
                yield from (input_name(name, language.code) for language in form_languages())

    @property
    def status(self) -> int:
        """Status of the response that shows the form."""
        return self.error_status if self.errors else 200

    @property
    def kept_files(self) -> set[str]:
        """Names of file fields whose stored file stays unchanged."""
        files = (name for name, control in self.controls.items() if control.type == "file")
        return {name for name in files if not self.files.get(name) and name not in self.cleared}

    @property
    def takes_files(self) -> bool:
        return any(control.type == "file" for control in self.controls.values())

    @property
    def enctype(self) -> str:
        return "multipart/form-data" if self.takes_files else "application/x-www-form-urlencoded"

    @property
    def faults(self) -> list[str]:
        """Errors to show above the form, because their field is not visible."""
        hidden = {name for name, control in self.controls.items() if control.type == "hidden"}
        visible = {*self._input_names} - hidden
        return [message for name, message in self.errors.items() if name not in visible]

    @property
    def marks_required(self) -> bool:
        """Whether required fields are marked. False if all fields are required."""
        return not all(
            control.required for control in self.controls.values() if control.type not in ("hidden", "checkbox")
        )

    def refuse(self, message: str, name: str = "", status: int = 422) -> None:
        """Add an error to a field, or to the whole form."""
        self.errors[name], self.error_status = gettext(message), status

    def add_errors(self, error: FieldErrors) -> None:
        """Add errors to their fields, or to the form if it does not have the field."""
        for name, message in error.errors.items():
            self.refuse(message, name if name in self.controls else "")

    async def save(self, save: Callable[[M], Awaitable[R]]) -> R | None:
        """Call `save` with valid data.

        Returns:
            The result of `save`, or None if the input is invalid or `save` raises FieldErrors. `errors` are set then.
        """
        if self.data is None:
            return None
        try:
            return await save(self.data)
        except FieldErrors as error:
            self.add_errors(error)
            return None

    def value(self, name: str, default: str = "") -> str:
        value = self.values.get(name, default)
        return value if isinstance(value, str) else ", ".join(value)

    def field(self, name: str, label: str = "", type: str = "", **changes: Attribute) -> Field:
        """Return a field for a template. `changes` override HTML attributes."""
        control, value = self.controls[name], self.values.get(name, "")
        field = Field(
            label=gettext(label or control.label),
            type=type or input_type(control.type, self.value(name)),
            required=bool(changes.get("required", control.required)),
            help=self._help_text(name),
            error=self.errors.get(name, ""),
            values=[value] if isinstance(value, str) else value,
            choices=self._choices(control, value),
            suffix=gettext(control.suffix),
            zone=self.zones.get(name, ""),
            rows=self._row_choices(control),
            can_clear=name in self.stored_files and not control.required,
            is_cleared=name in self.cleared,
            attributes=html_attributes(self._attributes(control) | changes | self._error_attributes(name, changes)),
        )
        if name not in self._translated_names:
            return field
        names = {language.code: input_name(name, language.code) for language in form_languages()}
        texts = {code: self.value(text_name) for code, text_name in names.items()}
        errors = {code: self.errors.get(text_name, "") for code, text_name in names.items()}
        return replace(field, translations=translation_fields(field, name, texts, errors))

    def _row_choices(self, control: Control) -> RowChoices | None:
        if control.type == PICKER and control.rows is None:
            raise TypeError(
                f"{self.model.__name__}.{control.name} is a foreign key, and the form has no choices for it. Pass"
                f' choices={{"{control.name}": …}}, such as those of `opportune.crud.reference_choices`.'
            )
        return control.rows

    def _help_text(self, name: str) -> str:
        needs_file_again = self.files.get(name) and self.errors and name not in self.errors
        return gettext(CHOOSE_AGAIN if needs_file_again else self.controls[name].help)

    def _choices(self, control: Control, value: str | list[str]) -> Mapping[str, str]:
        """Return the choices. Add an empty one if the field is optional or has no selected value."""
        choices = translated_choices(control.choices)
        if control.type not in ("select", PICKER) or control.multiple or "" in choices:
            return choices
        selected = value if control.required else initial_value(self.model, control.name, None)
        if selected in choices:
            return choices
        return {"": gettext("Choose") if control.required else gettext(self.none_label), **choices}

    def _attributes(self, control: Control) -> dict[str, Attribute]:
        return {
            "id": self.prefix + control.name,
            "name": control.name,
            "required": control.required and control.type != "checkboxes" and control.name not in self.stored_files,
            "multiple": control.multiple and control.type != "checkboxes",
            **(file_attributes() if control.type == "file" else {}),
            **control.attributes,
        }

    def _error_attributes(self, name: str, changes: Mapping[str, Attribute]) -> dict[str, Attribute]:
        """Return attributes that announce the error to screen readers and focus the first field with an error."""
        id_, error = self.prefix + name, self.errors.get(name)
        descriptions = {"error": error, "help": self._help_text(name)}
        ids = [f"{id_}-{suffix}" for suffix, text in descriptions.items() if text]
        first_invalid = next((field for field in self._input_names if field in self.errors), "")
        has_focus = name == first_invalid.partition(".")[0] if first_invalid else changes.get("autofocus")
        return {
            "aria-invalid": "true" if error else None,
            "aria-describedby": " ".join(ids) or None,
            "autofocus": has_focus,
        }

    async def fill(self, submitted: FormData) -> None:
        """Read and validate submitted fields. Empty fields count as missing, because browsers always send them."""
        self._read_texts(submitted)
        await self._read_uploads(submitted)
        self._read_cleared(submitted)
        data: dict[str, Any] = {}
        for name, control in self.controls.items():
            if name not in self.cleared:
                data |= self._submitted_value(name, control, submitted)
        self._validate(data)

    def _submitted_value(self, name: str, control: Control, submitted: FormData) -> dict[str, Any]:
        """Return the value of a field by its name, or nothing if it is missing."""
        if control.is_translated and (translations := submitted_texts(submitted, name)) is not None:
            is_missing = not translations and self.model.model_fields[name].default is None
            return {} if is_missing else {name: translations}
        values = self.files.get(name) or self._parse_texts(control, submitted)
        if control.multiple:
            return {name: values}
        if values:
            return {name: values[-1]}
        if control.type == "checkbox":
            return {name: False}
        return {name: self.stored_files[name]} if name in self.stored_files else {}

    def _read_cleared(self, submitted: FormData) -> None:
        """Read which stored files to remove. A new file takes precedence over the checkbox."""
        removable = {name for name in self.stored_files if not (self.controls[name].required or self.files.get(name))}
        self.cleared = {name for name in removable if CLEAR_VALUE in texts_of_field(submitted, name)}

    def has_field(self, name: str) -> bool:
        """Return whether a form of a page, not a filter, has an input of this name."""
        return not self.is_in_utc and name not in self.left_out and name in self._input_names

    def restore(self, submitted: FormData) -> None:
        """Show submitted texts again, without validation."""
        self._read_texts(submitted)
        self._read_cleared(submitted)

    async def _read_uploads(self, submitted: FormData) -> None:
        for name, control in self.controls.items():
            if control.type != "file" or name not in submitted:
                continue
            files = [file for file in submitted.getlist(name) if isinstance(file, UploadFile)]
            if not control.multiple:
                files = files[-1:]  # checking images is expensive
            uploads = [await read_upload(file) for file in files]
            self.files[name] = [upload for upload in uploads if upload]

    def _read_texts(self, submitted: FormData) -> None:
        self.values = {}
        for name in self.zones:
            self.zones[name] = parse_zone_name(submitted.get(name + ZONE_SUFFIX)) or self.zones[name]
        for name in submitted:
            control = self.controls.get(name)
            if "password" in name or (control and control.type in ("file", "password")):
                continue
            # Surrogates, which cannot be encoded, become question marks.
            texts = [text.encode(errors="replace").decode() for text in texts_of_field(submitted, name)]
            self.values[name] = texts if control and control.multiple else "".join(texts[-1:])

    def _parse_texts(self, control: Control, submitted: FormData) -> list[Any]:
        texts = [text for text in texts_of_field(submitted, control.name) if text]
        try:
            return parse_texts(control, texts, self.zones.get(control.name, ""))
        except ValueError as error:
            self.errors[control.name] = str(error)
            return texts

    def _validate(self, values: Mapping[str, Any]) -> None:
        try:
            data = self.model.model_validate(values)
        except ValidationError as error:
            for name, message in messages_by_field(error, partial(self._input_of, values)).items():
                if name in self.controls and not values.get(name):
                    self.errors.setdefault(name, gettext(EMPTY_MESSAGES.get(self.controls[name].type, message)))
                else:
                    self.errors.setdefault(name, message)
        else:
            self.data = None if self.errors else data

    def _input_of(self, values: Mapping[str, Any], location: Sequence[int | str]) -> str:
        """Return the name of the input that an error belongs to."""
        name, *rest = map(str, location or ("",))
        languages = [language.code for language in form_languages()]
        if not isinstance(values.get(name), dict) or name not in self._translated_names:
            return name
        return input_name(name, rest[0] if rest and rest[0] in languages else languages[0])


async def read_form(
    request: Request, model: type[M], row: object = None, *, choices: Choices | None = None, prefix: str = ""
) -> Form[M]:
    """Read and validate the body of a request.

    Args:
        request: The current request.
        model: The Pydantic model of the form.
        row: Row or mapping to edit. Its stored files stay unless the user uploads others.
        choices: Choices by field that depend on the request.
        prefix: Prefix of the ids of the inputs.

    Returns:
        The form, with `data` if the input is valid, else with `errors`.
    """
    return await fill_form(request, Form(model, row, choices=choices, prefix=prefix))


async def fill_form(request: Request, form: Form[M]) -> Form[M]:
    """Read and validate the body of a request into an existing form."""
    if form.takes_files:
        allow_files(request)
    try:
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as submitted:
            await form.fill(submitted)
    except UnicodeError as error:  # the encoding in Content-Type is wrong
        raise HTTPException(400, "The encoding of this form is invalid.") from error
    return form
