"""The admin's forms: their base class, validation by the rules of the model, and forms without some fields."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from pydantic import ValidationError
from sqladmin.forms import WTFORMS_ATTRS
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel
from starlette.datastructures import FormData
from starlette.requests import Request
from wtforms import Field, Form
from wtforms.meta import DefaultMeta

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.field_texts import FieldTexts
from opportune.admin.sqladmin_adapter import AdapterView
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.error_messages import messages_by_field

NUL = _l("This contains the character NUL, which cannot be stored.")
MAX_FIELDS = 5_000
"""Maximum fields of a form. Each inline row has several."""
INVALID = _l("Please correct the fields below.")
Fieldset = tuple[str, Sequence[str]]
"""A title and the names of its columns."""
UNCHANGED = "(unchanged)"
"""A text for required fields, whose validator only checks that a text was sent."""


class AdminForm(Form):  # type: ignore[misc]  # its base has no types
    """A form that refuses NUL characters, which PostgreSQL cannot store. Its messages are translated.

    Its fields have the names of the model, also names such as `data`, which are attributes of WTForms' own class.
    """

    class Meta(DefaultMeta):  # type: ignore[misc]  # its base has no types
        def render_field(self, field: Field, render_kw: dict[str, Any]) -> Any:
            # Browsers cut a pasted text at `maxlength` without a message. site.js shows this limit instead.
            limit = getattr(field.flags, "maxlength", None)
            limits = {"maxlength": False, "data_maxlength": limit} if limit else {}
            return super().render_field(field, {**render_kw, **limits})

        def get_translations(self, form: Form) -> FieldTexts:
            return FieldTexts()

    def __contains__(self, name: str) -> bool:
        return bool(super().__contains__(WTFORMS_ATTRS.get(name, name)))

    def __getitem__(self, name: str) -> Field:
        return super().__getitem__(WTFORMS_ATTRS.get(name, name))

    def process(self, formdata: Any = None, obj: Any = None, data: Any = None, **values: Any) -> None:
        super().process(formdata, obj, {WTFORMS_ATTRS.get(key, key): data[key] for key in data or ()}, **values)

    def validate(self, extra_validators: Any = None) -> bool:
        valid: bool = super().validate(extra_validators)
        for field in self:
            if field.errors and field.process_errors:  # `Optional` clears the errors of an empty field
                field.errors = list(field.process_errors)
            if isinstance(field.data, str) and "\0" in field.data:
                add_error(field, NUL)
                valid = False
        return valid


class FormExtension:
    """Changes the form of a view, and stores the values of fields without a column. By default there are none."""

    names: ClassVar[Sequence[str]] = ()
    """Fields without a column, whose values `save` stores."""

    def __init__(self, view: AdapterView) -> None:
        self.view = view

    async def extend(self, form: type[AdminForm], request: Request, *, creating: bool) -> type[AdminForm]:
        """Return the form with additional fields, or without some."""
        return form

    async def save(
        self, session: AsyncSession, request: Request, row: Any, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Store the values of `names` that were sent, if there are any. Return the changes for the log."""
        return {}


def control_attributes(request: Request, view: Any, field: Field, error: object) -> dict[str, Any]:
    """Return the attributes of a field's control, which is marked if the field has an error."""
    attributes: dict[str, Any] = {}
    if hasattr(field, "loader"):
        attributes = {"request": request, "url": str(request.url_for("admin:ajax_lookup", identity=view.identity))}
    if error:
        class_ = (field.render_kw or {}).get("class", "form-control")
        attributes |= {"class_": f"{class_} is-invalid", "aria_invalid": "true"}
        attributes["aria_describedby"] = f"error-{field.id}"
    return attributes


async def read_form_texts(request: Request) -> FormData:
    """Return the text fields of a form, without its files."""
    async with request.form(max_fields=MAX_FIELDS) as form:
        return FormData([(name, value) for name, value in form.multi_items() if isinstance(value, str)])


def add_error(field: Field, message: str) -> None:
    field.errors = [*field.errors, message]


def add_refusal(form: Form, refusal: FieldErrors) -> str:
    """Show a refusal beside its fields. Return the message to show above the form if it has none of these fields."""
    names = [name for name in refusal.errors if name in form]
    for name in names:
        add_error(form[name], gettext(refusal.errors[name]))
    return "" if names else gettext(str(refusal))


def validate_model(model: type[Any], form: Form, values: dict[str, Any], row: Any) -> dict[str, Any]:
    """Return the values to store, checked and changed by the model's validators.

    Raises:
        ValidationRefused: A value is not valid. Messages of single fields are already set in the form.
    """
    if not issubclass(model, SQLModel):
        return values
    present = {name: getattr(row, name) for name in model.model_fields} if row is not None else {}
    try:
        # An object, because SQLModel would take the method `items` of a dict for a relationship.
        valid = model.model_validate(SimpleNamespace(**{**present, **values}), from_attributes=True)
    except ValidationError as error:
        messages = messages_by_field(error)
        visible = {name: message for name, message in messages.items() if not name or name in form}
        if not visible:
            return values  # the only errors are in fields that the view sets after the form
        add_refusal(form, FieldErrors(visible))
        raise ValidationRefused(visible.get("", INVALID)) from None
    return {name: getattr(valid, name, value) for name, value in values.items()}


def submitted_texts(form: AdminForm) -> Iterator[tuple[str, str]]:
    """Yield the names and texts that a browser would send for the values of a form."""
    for field in form:
        match field.data:
            case False:  # browsers do not send a checkbox that is not ticked
                continue
            case None:
                text = ""
            case True:
                text = "true"
            case value:
                text = getattr(field, "text", str(value))
        yield field.name, text


def group_fields(view: Any, names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Group names by the fieldsets of a view. Names without a fieldset come last, without a title.

    A fieldset may name a relationship instead of its column: `author` instead of `author_id`.
    """
    remaining = dict.fromkeys(names)
    groups = []
    for title, fieldset in view.fieldsets:
        columns = [name if name in remaining else view.names.of(name) for name in fieldset]
        groups.append((gettext(title), [name for name in columns if name in remaining]))
    grouped = {name for _, group in groups for name in group}
    groups.append(("", [name for name in remaining if name not in grouped]))
    return [(title, group) for title, group in groups if group]


def without_fields(form: type[AdminForm], names: Iterable[str]) -> type[AdminForm]:
    field_names = (WTFORMS_ATTRS.get(name, name) for name in names)
    hidden = {name: None for name in field_names if hasattr(form, name)}
    return type(form.__name__, (form,), hidden) if hidden else form


def keep_unsent(form: AdminForm, sent: Collection[str], *, is_stored: bool = False) -> None:
    """Restore stored or default values of fields that were not sent. A form would clear checkboxes."""
    for form_field in form:
        if form_field.name not in sent:
            form_field.process_data(form_field.object_data)
            form_field.raw_data = [UNCHANGED] if is_stored else []
