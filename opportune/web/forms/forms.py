"""HTML forms for Pydantic models, with errors beside the fields."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from fastapi import HTTPException, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, QueryParams, UploadFile

from opportune.db.models.references import reference_of
from opportune.errors import FieldErrors
from opportune.schemas.annotations import Attribute
from opportune.web.forms.error_messages import NOT_A_CHOICE, messages_by_field
from opportune.web.forms.fields import PICKER, TEXT_LISTS, Control, RowChoices, as_text, as_text_list, controls_of
from opportune.web.forms.uploads import Upload, allow_files, file_attributes, read_upload
from opportune.web.time_zone import current_zone, local, moment_in, parse_zone_name, zone_name

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

Choices = Mapping[str, Mapping[Any, str] | RowChoices]
"""Labels by value, or rows, for each field whose choices depend on the request."""

MAX_CHECKBOXES = 10
"""Rows up to which a field for several rows is a list of checkboxes."""
MOMENT = "datetime-local"
SEARCH_SUFFIX = ".search"
"""Suffix of the search field beside a picker, for browsers without JavaScript."""

MAX_FIELDS = 1_000
MAX_FILES = 20
EMPTY_MESSAGES = {
    "checkbox": "Please tick this.",
    "checkboxes": "Please tick at least one.",
    "file": "Please choose a file.",
    PICKER: "Please choose one.",
    "radio": "Please choose one.",
    "select": "Please choose one.",
}
CHOOSE_AGAIN = "Please choose the file again."
ID = re.compile("[0-9]{1,18}")
ZONE_SUFFIX = ".zone"
"""Suffix of the hidden field with the time zone in which a time was shown."""
CLEAR = "clear"
"""Value of a file's checkbox that removes the stored file."""
FILTER_PREFIX = "filter-"
"""Prefix of the ids of filter forms. Their times are in UTC, and another form may have a field of the same name."""
# Texts of `datetime-local` inputs, and those with a space in files.
WITHOUT_ZONE = re.compile(r"\d{4,}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?")


@dataclass(frozen=True)
class Field:
    """A field of a form, for templates."""

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

    @property
    def value(self) -> str:
        return self.values[-1] if self.values else ""


class Form(Generic[M]):
    """A form for a Pydantic model, empty or with the values of a row (or mapping), and with errors beside its fields.

    `read_form` fills it from a request, with `data` if that is valid, else `errors` by field (`""` for the whole form).
    The values to show are in `values`, except passwords, which never appear in a page.
    """

    none_label = "None"
    """Label of the empty choice: "Any" in the filters of a list."""

    def __init__(self, model: type[M], row: object = None, *, choices: Choices | None = None, prefix: str = "") -> None:
        self.model = model
        self.prefix = prefix
        """Prefix of the ids, for pages with two forms that have fields of the same name."""
        self.controls = {**controls_of(model), **_controls_with_choices(model, choices or {})}
        self.values: dict[str, str | list[str]] = self._initial_values(row)
        self.zones: dict[str, str] = self._zones(row)
        """Time zones of the shown times, by field."""
        self.data: M | None = None
        self.errors: dict[str, str] = {}
        self.refusal = 422
        """Status of a response that shows errors."""
        self.headers: dict[str, str] = {}
        """Headers of a response that shows errors, such as `Retry-After`."""
        self.files: dict[str, list[Upload]] = {}
        """Uploads by field. A form that is shown again has lost them, because no page can fill in a file."""
        self.stored_files = {
            name: getattr(row, name)
            for name, control in self.controls.items()
            if control.type == "file" and not control.multiple and getattr(row, name, None)
        }
        """Stored files of the row by field. They stay unless another file is sent."""
        self.cleared: set[str] = set()
        """Fields whose file is to be removed."""
        self.texts: Mapping[str, tuple[str, str]] = {}
        """Label and text of fields that the user sees and may not write."""
        self.left_out: Collection[str] = ()
        """Fields that are neither shown nor read, also where a template names them."""

    @property
    def is_in_utc(self) -> bool:
        """Whether times are shown in UTC, as the query of a route needs them."""
        return self.prefix == FILTER_PREFIX

    def _initial_values(self, row: object) -> dict[str, str | list[str]]:
        zone = current_zone.set(UTC if self.is_in_utc else current_zone.get())
        try:
            return {
                name: _initial_value(self.model, name, row)
                for name, control in self.controls.items()
                if control.type not in ("password", "file")
            }
        finally:
            current_zone.reset(zone)

    def _zones(self, row: object) -> dict[str, str]:
        here = "UTC" if self.is_in_utc else str(current_zone.get())
        zones = {name: here for name, control in self.controls.items() if control.type == MOMENT}
        if here != "UTC":
            for name in zones:
                if isinstance(moment := _value_of(self.model, name, row), datetime) and moment.tzinfo:
                    zones[name] = zone_name(local(moment))
        return zones

    def offer(self, choices: Choices) -> None:
        """Set the choices that depend on the request."""
        self.controls = {**self.controls, **_controls_with_choices(self.model, choices)}

    def leave_out(self, names: Collection[str], texts: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Do not read these fields. Show those that have a label and a text as text."""
        self.texts = texts or {}
        self.left_out = {*names} - self.texts.keys()
        for name in names:
            self.controls.pop(name, None)
            self.values.pop(name, None)
            self.stored_files.pop(name, None)

    def chosen_ids(self, name: str) -> list[int]:
        """Return the ids of the rows that a field points at."""
        values = self.values.get(name, "")
        return [int(text) for text in ([values] if isinstance(values, str) else values) if ID.fullmatch(text)]

    def prefill(self, query: QueryParams) -> None:
        """Fill in fields from query parameters, except passwords and files."""
        for name in self.values.keys() & query.keys():
            texts = query.getlist(name)
            self.values[name] = texts if self.controls[name].multiple else texts[-1]

    @property
    def status(self) -> int:
        """Status of the response that shows the form."""
        return self.refusal if self.errors else 200

    @property
    def kept_files(self) -> set[str]:
        """Fields whose stored file is neither replaced nor removed."""
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
        """Errors that belong to no visible field."""
        visible = {name for name, control in self.controls.items() if control.type != "hidden"}
        return [message for name, message in self.errors.items() if name not in visible]

    @property
    def marks_required(self) -> bool:
        """Whether to mark required fields, because others may be left empty."""
        return not all(
            control.required for control in self.controls.values() if control.type not in ("hidden", "checkbox")
        )

    def refuse(self, message: str, name: str = "", status: int = 422) -> None:
        """Add an error to a field, or to the whole form."""
        self.errors[name], self.refusal = message, status

    def show(self, refusal: FieldErrors) -> None:
        """Add errors to their fields, or to the form if it does not have the field."""
        for name, message in refusal.errors.items():
            self.refuse(message, name if name in self.controls else "")

    async def save(self, save: Callable[[M], Awaitable[R]]) -> R | None:
        """Return the result of `save`, or None if the data are not valid or refused. The form then has the errors."""
        if self.data is None:
            return None
        try:
            return await save(self.data)
        except FieldErrors as refusal:
            self.show(refusal)
            return None

    def value(self, name: str, default: str = "") -> str:
        value = self.values.get(name, default)
        return value if isinstance(value, str) else ", ".join(value)

    def field(self, name: str, label: str = "", type: str = "", **changes: Attribute) -> Field:
        """Return a field with its attributes, and with the changes of the template."""
        control, value = self.controls[name], self.values.get(name, "")
        return Field(
            label=label or control.label,
            type=type or control.type,
            required=bool(changes.get("required", control.required)),
            help=self._help(name),
            error=self.errors.get(name, ""),
            values=[value] if isinstance(value, str) else value,
            choices=self._choices(control, value),
            suffix=control.suffix,
            zone=self.zones.get(name, ""),
            rows=self._rows(control),
            can_clear=name in self.stored_files and not control.required,
            is_cleared=name in self.cleared,
            attributes=html_attributes(self._attributes(control) | changes | self._state(name, changes)),
        )

    def _rows(self, control: Control) -> RowChoices | None:
        if control.type == PICKER and control.rows is None:
            raise TypeError(
                f"{self.model.__name__}.{control.name} is a foreign key, and the form has no choices for it. Pass"
                f' choices={{"{control.name}": …}}, such as those of `opportune.crud.reference_choices`.'
            )
        return control.rows

    def _help(self, name: str) -> str:
        is_lost = self.files.get(name) and self.errors and name not in self.errors
        return CHOOSE_AGAIN if is_lost else self.controls[name].help

    def _choices(self, control: Control, value: str | list[str]) -> Mapping[str, str]:
        """Return the choices, with an empty one if nothing is selected yet or nothing has to be."""
        if control.type not in ("select", PICKER) or control.multiple or "" in control.choices:
            return control.choices
        selected = value if control.required else _initial_value(self.model, control.name, None)
        if selected in control.choices:
            return control.choices
        return {"": "Choose" if control.required else self.none_label, **control.choices}

    def _attributes(self, control: Control) -> dict[str, Attribute]:
        return {
            "id": self.prefix + control.name,
            "name": control.name,
            "required": control.required and control.type != "checkboxes" and control.name not in self.stored_files,
            "multiple": control.multiple and control.type != "checkboxes",
            **(file_attributes() if control.type == "file" else {}),
            **control.attributes,
        }

    def _state(self, name: str, changes: Mapping[str, Attribute]) -> dict[str, Attribute]:
        """Return attributes that name the error for screen readers and focus the first field with an error."""
        id_, error = self.prefix + name, self.errors.get(name)
        notes = [f"{id_}-{note}" for note, text in (("error", error), ("help", self._help(name))) if text]
        first = next((name for name in self.controls if name in self.errors), None)
        return {
            "aria-invalid": "true" if error else None,
            "aria-describedby": " ".join(notes) or None,
            "autofocus": name == first if first else changes.get("autofocus"),
        }

    async def take(self, sent: FormData) -> None:
        """Fill in a submitted form and validate it. Empty fields, which browsers always send, count as left out."""
        await self._read_values(sent)
        data: dict[str, Any] = {}
        self.cleared = {name for name, control in self.controls.items() if self._is_cleared(control, sent)}
        for name, control in self.controls.items():
            if name in self.cleared:
                continue
            values = self.files.get(name) or self._parse_texts(control, [text for text in _texts(sent, name) if text])
            if control.multiple or values:
                data[name] = values if control.multiple else values[-1]
            elif control.type == "checkbox":
                data[name] = False
            elif name in self.stored_files:
                data[name] = self.stored_files[name]
        self._validate(data)

    def _is_cleared(self, control: Control, sent: FormData) -> bool:
        """Return whether to remove a stored file. A new file takes precedence over the checkbox."""
        can_remove = control.name in self.stored_files and not control.required
        return can_remove and not self.files.get(control.name) and CLEAR in _texts(sent, control.name)

    async def _read_values(self, sent: FormData) -> None:
        self.values = {}
        self.zones |= {name: zone for name in self.zones if (zone := parse_zone_name(sent.get(name + ZONE_SUFFIX)))}
        for name in sent:
            control = self.controls.get(name)
            if control and control.type == "file":
                files = [file for file in sent.getlist(name) if isinstance(file, UploadFile)]
                # Checking an image is expensive, so check no more than the field takes.
                uploads = [await read_upload(file) for file in (files if control.multiple else files[-1:])]
                self.files[name] = [upload for upload in uploads if upload]
            elif "password" not in name and not (control and control.type == "password"):
                # Characters that no page can show become question marks.
                texts = [text.encode(errors="replace").decode() for text in _texts(sent, name)]
                self.values[name] = texts if control and control.multiple else "".join(texts[-1:])

    def _parse_texts(self, control: Control, texts: list[str]) -> list[Any]:
        """Return the values of the model for these texts."""
        if control.is_closed and not control.choices.keys() >= set(texts):
            self.errors[control.name] = NOT_A_CHOICE
        if control.type == MOMENT:
            return [self._moment(control.name, text) for text in texts]
        return [control.values_by_text.get(text, text) for text in texts]

    def _moment(self, name: str, text: str) -> str | datetime:
        try:
            return read_moment(text, self.zones[name])
        except ValueError as error:
            self.errors[name] = str(error)
        return text

    def _validate(self, values: Mapping[str, Any]) -> None:
        try:
            data = self.model.model_validate(values)
        except ValidationError as error:
            for name, message in messages_by_field(error).items():
                is_empty = name in self.controls and not values.get(name)
                self.errors.setdefault(
                    name, EMPTY_MESSAGES.get(self.controls[name].type, message) if is_empty else message
                )
        else:
            self.data = None if self.errors else data


async def read_form(
    request: Request, model: type[M], row: object = None, *, choices: Choices | None = None, prefix: str = ""
) -> Form[M]:
    """Read and validate the body. Stored files of a row stay unless another file is sent.

    Args:
        request: The current request.
        model: The Pydantic model of the form.
        row: Row or mapping that the form edits.
        choices: Choices by field that depend on the request.
        prefix: Prefix of the ids of the inputs.

    Returns:
        The form: `data` if the input is valid, else `errors`.
    """
    return await fill_form(request, Form(model, row, choices=choices, prefix=prefix))


async def fill_form(request: Request, form: Form[M]) -> Form[M]:
    """Read and validate the body with an existing form."""
    if form.takes_files:
        allow_files(request)
    try:
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as sent:
            await form.take(sent)
    except UnicodeError as error:  # the encoding in Content-Type is wrong
        raise HTTPException(400, "The encoding of this form is invalid.") from error
    return form


def read_moment(text: str, zone: str) -> str | datetime:
    """Parse a local time in a zone. Other texts are returned for the model to validate.

    Raises:
        ValueError: Clocks skip this time.
    """
    if not WITHOUT_ZONE.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment_in(moment, zone)


def _controls_with_choices(model: type[BaseModel], choices: Choices) -> dict[str, Control]:
    """Return the controls whose choices depend on the request."""
    controls = controls_of(model)
    return {name: _with_choices(controls[name], offer) for name, offer in choices.items()}


def _with_choices(control: Control, offer: Mapping[Any, str] | RowChoices) -> Control:
    rows = offer if isinstance(offer, RowChoices) else None
    labels = offer.names if isinstance(offer, RowChoices) else offer
    type_ = control.type if control.type in ("radio", "checkboxes") else "select"
    if rows and control.type == PICKER and (rows.lookup_url or control.multiple):
        type_ = "checkboxes" if not rows.lookup_url and 0 < len(labels) <= MAX_CHECKBOXES else PICKER
    return replace(control, type=type_, rows=rows, choices={as_text(value): label for value, label in labels.items()})


def _value_of(model: type[BaseModel], name: str, row: object) -> Any:
    """Return the value of a row, else the default of the model."""
    info = model.model_fields[name]
    value = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    if row is not None:
        value = row.get(name, value) if isinstance(row, Mapping) else getattr(row, name, value)
    return value


def _initial_value(model: type[BaseModel], name: str, row: object) -> str | list[str]:
    info, value = model.model_fields[name], _value_of(model, name, row)
    if reference_of(info):  # relationships hold rows instead of ids
        value = (
            [getattr(item, "id", item) for item in value]
            if isinstance(value, list | set | tuple)
            else getattr(value, "id", value)
        )
    if (type_ := controls_of(model)[name].type) in TEXT_LISTS:
        return as_text_list(value, type_)
    return [as_text(item) for item in value] if isinstance(value, list | set | tuple) else as_text(value)


def _texts(sent: FormData, name: str) -> list[str]:
    # Browsers send CRLF, but count one character for maxlength.
    return [value.replace("\r\n", "\n") for value in sent.getlist(name) if isinstance(value, str)]


def html_attributes(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Return attributes for Jinja's `xmlattr`, where True is an empty value and False leaves the attribute out."""
    return {name: "" if value is True else value for name, value in attributes.items() if value is not False}
