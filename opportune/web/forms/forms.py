"""HTML forms for Pydantic models, with errors beside the fields."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Literal, TypeVar, overload

from fastapi import HTTPException, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.sessions.session import reload_expired
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.annotations import Attribute
from opportune.web.forms.controls import Control, Field, RowChoices, html_attributes, translated_choices
from opportune.web.forms.field_values import initial_value
from opportune.web.forms.form_state import Choices, FormState
from opportune.web.forms.input_texts import input_type
from opportune.web.forms.schema_controls import PICKER
from opportune.web.forms.translations import input_names, translation_fields
from opportune.web.forms.uploads import allow_files, file_attributes

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

SEARCH_SUFFIX = ".search"
"""Suffix of the search field beside a picker, for browsers without JavaScript."""

MAX_FIELDS = 1_000
MAX_FILES = 20
CHOOSE_AGAIN = _l("Please choose the file again.")


class Form(FormState[M]):
    """A form for a Pydantic model, empty or with the values of a row (or mapping).

    `read_form` fills it from a request. If the input is valid, `data` is an instance of the model. Otherwise `errors`
    has a message for each invalid field; the key `""` is for the form as a whole. Templates show `values`, which never
    contain passwords.
    """

    none_label = "None"
    """Label of the empty choice. Filters of a list use "Any"."""

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
        inputs = (control for control in self.controls.values() if control.type not in ("hidden", "checkbox"))
        return not all(control.required for control in inputs)

    @overload
    async def save(
        self, store: Callable[[M], Awaitable[None]], session: AsyncSession | None = None
    ) -> Literal[True] | None: ...

    @overload
    async def save(self, store: Callable[[M], Awaitable[R]], session: AsyncSession | None = None) -> R | None: ...

    async def save(self, store: Callable[[M], Awaitable[Any]], session: AsyncSession | None = None) -> Any:
        """Call `store` with valid data.

        Args:
            store: Stores the data.
            session: Session in which `store` writes. A refusal, such as that of a hook, then undoes all of its changes,
                and the rows have their stored values again.

        Returns:
            The result of `store`, or True if it returns None. None if the input is invalid, or if `store` or a hook
            raises FieldErrors: `errors` are set then.
        """
        if self.data is None:
            return None
        try:
            async with session.begin_nested() if session else nullcontext():
                result = await store(self.data)
                if session:
                    await session.flush()
        except FieldErrors as error:
            self.add_errors(error)
            if session:
                await reload_expired(session)
            return None
        return True if result is None else result

    def value(self, name: str, default: str = "") -> str:
        value = self.values.get(name, default)
        return value if isinstance(value, str) else ", ".join(value)

    def field(self, name: str, label: str = "", type: str = "", **changes: Attribute) -> Field:
        """Return a field for a template. `changes` override HTML attributes."""
        control = self.controls[name]
        value = self.values.get(name, "")
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
            sends_zone=not self.is_filter,
            rows=self._row_choices(control),
            can_clear=name in self.files.stored and not control.required,
            is_cleared=name in self.files.cleared,
            attributes=html_attributes(self._attributes(control) | changes | self._error_attributes(name, changes)),
        )
        if name not in self._translated_names:
            return field
        texts = {code: self.value(input_) for code, input_ in input_names(name).items()}
        errors = {code: self.errors.get(input_, "") for code, input_ in input_names(name).items()}
        return replace(field, translations=[*translation_fields(field, name, texts, errors)])

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
            "required": control.required and control.type != "checkboxes" and control.name not in self.files.stored,
            "multiple": control.multiple and control.type != "checkboxes",
            **(file_attributes() if control.type == "file" else {}),
            **control.attributes,
        }

    def _error_attributes(self, name: str, changes: Mapping[str, Attribute]) -> dict[str, Attribute]:
        """Return attributes that announce the error to screen readers and focus the first field with an error."""
        id_ = self.prefix + name
        error = self.errors.get(name)
        descriptions = {"error": error, "help": self._help_text(name)}
        ids = " ".join(f"{id_}-{suffix}" for suffix, text in descriptions.items() if text)
        first_invalid = next((field for field in self._input_names if field in self.errors), "")
        has_focus = name == first_invalid.partition(".")[0] if first_invalid else changes.get("autofocus")
        is_invalid = "true" if error else None
        return {"aria-invalid": is_invalid, "aria-describedby": ids or None, "autofocus": has_focus}


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
