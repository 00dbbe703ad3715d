"""The admin's forms, and the model's own rules for their values."""

from types import SimpleNamespace
from typing import Any

from pydantic import ValidationError
from sqlmodel import SQLModel
from starlette.datastructures import FormData
from starlette.requests import Request
from wtforms import Field, Form  # type: ignore[import-untyped]  # has no types

from opportune.admin.errors import ValidationRefused
from opportune.web.forms.error_messages import messages_by_field

NUL = "This contains the character NUL, which cannot be stored."


class AdminForm(Form):  # type: ignore[misc]  # its base has no types
    """A form that refuses characters which no database stores."""

    def validate(self, extra_validators: Any = None) -> bool:
        valid: bool = super().validate(extra_validators)
        for field in self:
            if field.errors and field.process_errors:  # not where an empty field may be empty
                field.errors = list(field.process_errors)
            if isinstance(field.data, str) and "\0" in field.data:
                add_error(field, NUL)
                valid = False
        return valid


async def read_form_texts(request: Request) -> FormData:
    """What a form sends, without files: nothing here takes any."""
    async with request.form() as form:
        return FormData([(name, value) for name, value in form.multi_items() if isinstance(value, str)])


def add_error(field: Field, message: str) -> None:
    field.errors = [*field.errors, message]


def add_refusal(form: Form, refusal: ValidationRefused) -> str:
    """Put a refusal beside its fields; what is left goes above the form."""
    beside = [form[name] for name in refusal.fields if name in form]
    for field in beside:
        add_error(field, str(refusal))
    return "" if beside else str(refusal)


def validate_model(model: type[Any], form: Form, values: dict[str, Any], row: Any) -> dict[str, Any]:
    """What is to be stored, after the rules and changes that the model itself declares.

    Raises:
        ValidationRefused: a rule is broken. What belongs to fields stands beside them already.
    """
    if not issubclass(model, SQLModel):
        return values
    present = {name: getattr(row, name) for name in model.model_fields} if row is not None else {}
    try:
        # As attributes: of a mapping SQLModel would take the method `items` for a relationship of that name.
        valid = model.model_validate(SimpleNamespace(**{**present, **values}), from_attributes=True)
    except ValidationError as error:
        return _refuse(form, values, error)
    return {name: getattr(valid, name, value) for name, value in values.items()}


def _refuse(form: Form, values: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    broken = ""
    for name, message in messages_by_field(error).items():
        if name in form:
            add_error(form[name], message)
            broken = broken or "Please correct the fields below."
        elif not name:
            broken = message
    if broken:
        raise ValidationRefused(broken)
    return values  # only fields that this form does not have are missing: the view fills them in
