"""Base class of the admin's forms, and validation by the rules of the model."""

from types import SimpleNamespace
from typing import Any

from pydantic import ValidationError
from sqladmin.forms import WTFORMS_ATTRS
from sqlmodel import SQLModel
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.wtforms_classes import DefaultMeta, Field, FieldTexts, Form
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.error_messages import messages_by_field

NUL = _l("This contains the character NUL, which cannot be stored.")
MAX_FIELDS = 5_000
"""Maximum fields of a form. Each inline row has several."""
INVALID = _l("Please correct the fields below.")


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
        add_error(form[name], refusal.errors[name])
    return "" if names else str(refusal)


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


def submitted_texts(form: AdminForm) -> list[tuple[str, str]]:
    """Return the names and texts that a browser would send for the values of a form."""
    texts: list[tuple[str, str]] = []
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
        texts.append((field.name, text))
    return texts
