"""The forms of the admin: fields from a model's columns, and the model's own rules on top."""

from types import SimpleNamespace
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from sqladmin.fields import BooleanField, DateField, DateTimeField, IntervalField, TimezoneAwareDateTimeField, UuidField
from sqladmin.forms import converts
from sqlalchemy import BigInteger, Column, SmallInteger
from sqlalchemy.orm import ColumnProperty
from sqlmodel import SQLModel
from starlette.datastructures import FormData
from starlette.requests import Request
from wtforms import Field, Form, IntegerField, TimeField  # type: ignore[import-untyped]  # has no types
from wtforms.validators import NumberRange  # type: ignore[import-untyped]  # has no types

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.date_fields import (
    NativeDateField,
    NativeDateTimeField,
    NativeTimeField,
    ZonedDateTimeField,
)
from opportune.admin.forms.text_fields import TextField, is_multiline
from opportune.admin.forms.typed_fields import (
    FIELDS,
    LINE_TYPES,
    CheckboxField,
    ChoiceField,
    JsonTextField,
    arguments_for,
    choices_in,
)
from opportune.admin.sqladmin_adapter import AdapterConverter
from opportune.db.columns import choices_of, is_text, type_of
from opportune.schemas.annotations import options_of
from opportune.web.forms.error_messages import A_DATE, A_MOMENT, A_NUMBER, A_TIME, WHOLE, message_for

NUL = "This contains the character NUL, which cannot be stored."


WORDS = {
    "Not a valid date value.": A_DATE,
    "Not a valid datetime value.": A_MOMENT,
    "Not a valid time value.": A_TIME,
    "Not a valid integer value.": WHOLE,
    "Not a valid decimal value.": A_NUMBER,
    "Not a valid float value.": A_NUMBER,
}
"""What pages of the site say in the place of WTForms' words."""
TRANSLATIONS = SimpleNamespace(
    gettext=lambda words: WORDS.get(words, words),
    ngettext=lambda one, many, number: one if number == 1 else many,
)


class AdminForm(Form):  # type: ignore[misc]  # its base has no types
    """Refuses what no database stores, and says of what cannot be read what pages say, and that alone."""

    class Meta:
        def get_translations(self, _form: Form) -> SimpleNamespace:
            return TRANSLATIONS

    def validate(self, extra_validators: Any = None) -> bool:
        valid: bool = super().validate(extra_validators)
        for field in self:
            if field.errors and field.process_errors:  # not where an empty field may be empty
                field.errors = list(field.process_errors)
            if isinstance(field.data, str) and "\0" in field.data:
                add_error(field, NUL)
                valid = False
        return valid


def _worded(kind: type[Field], words: str) -> type[Field]:
    """SQLAdmin's field, but that it says of what it cannot read neither Python's words nor nothing."""

    def process_formdata(self: Field, valuelist: list[str]) -> None:
        try:
            kind.process_formdata(self, valuelist)
        except (ValueError, OverflowError, RecursionError):
            self.data = None
            raise ValueError(words) from None

    return type(kind.__name__, (kind,), {"process_formdata": process_formdata})


FIELD_CLASSES = {
    BooleanField: CheckboxField,
    DateField: NativeDateField,
    DateTimeField: NativeDateTimeField,
    TimeField: NativeTimeField,
    TimezoneAwareDateTimeField: ZonedDateTimeField,
    UuidField: _worded(UuidField, "Please give a UUID, such as 123e4567-e89b-12d3-a456-426614174000."),
    IntervalField: _worded(IntervalField, "Please give a span of time, such as 1 day 1:25:33."),
}
"""Fields used instead of SQLAdmin's, also where `form_overrides` names SQLAdmin's."""


class AdminConverter(AdapterConverter):
    """SQLAdmin's choice of fields, with Enums, Literals, foreign keys, whole texts and the bounds of integers."""

    async def convert(self, model: type[Any], prop: Any, *args: Any, **options: Any) -> Any:
        values, described = choices_of(model, prop.key), getattr(model, "model_fields", {}).get(prop.key)
        if described:
            values = self._as_described(described, values, prop, options)
        if values and not options.get("override"):
            options["override"] = ChoiceField
            options["field_args"] = {
                "values": values,
                **options["field_args"],
                "render_kw": {"class": "form-select"},
            }
        is_select = options.get("override") is ChoiceField or prop.key in (options.get("form_ajax_refs") or ())
        if is_select and isinstance(prop, ColumnProperty) and prop.columns[0].nullable:
            options["field_args"] = {"allow_blank": True, **options["field_args"]}
        field = await super().convert(model, prop, *args, **options)
        if field is not None:
            field.field_class = FIELD_CLASSES.get(field.field_class, field.field_class)
        return field

    def _as_described(self, info: FieldInfo, values: tuple[Any, ...], prop: Any, options: dict[str, Any]) -> Any:
        """Put what the model says of a field into its options, and give the values that it offers."""
        wishes, more = options_of(info), options["field_args"]
        options["field_args"] = {**arguments_for(info, wishes), **more}
        if options.get("override") or (prop.key in (options.get("form_ajax_refs") or ())):
            return values
        if wishes.type in FIELDS:
            options["override"] = FIELDS[wishes.type]
        elif wishes.choices:
            options["field_args"] = {"words": wishes.choices, **options["field_args"]}
            return values or choices_in(wishes, info)
        elif wishes.type in LINE_TYPES and is_text(prop.columns[0]):
            options["field_args"] = {"lines": False, **options["field_args"]}
        return values

    def column_options(self, prop: ColumnProperty[Any], options: Any, *, include_key: bool) -> Any:
        # SQLAdmin leaves foreign keys to relationships, which our models need not have.
        return super().column_options(prop, options, include_key=include_key or bool(prop.columns[0].foreign_keys))

    @converts("String", "CHAR", "Text", "LargeBinary", "Binary")  # type: ignore[untyped-decorator]  # as below
    def conv_string(self, model: type[Any], prop: ColumnProperty[Any], kwargs: dict[str, Any]) -> Any:
        kwargs["validators"].extend(self.string_validators(prop))
        return TextField(**{"lines": is_multiline(prop.columns[0]), **kwargs})

    conv_text = conv_string

    @converts("JSON", "JSONB")  # type: ignore[untyped-decorator]  # as below
    def conv_json(self, model: type[Any], prop: ColumnProperty[Any], kwargs: dict[str, Any]) -> Any:
        return JsonTextField(**kwargs)

    @converts("Integer")  # type: ignore[untyped-decorator]  # SQLAdmin's own mark, without types
    def conv_integer(self, model: type[Any], prop: ColumnProperty[Any], kwargs: dict[str, Any]) -> Any:
        kwargs["validators"].append(_bounds(prop.columns[0]))
        return IntegerField(**kwargs)


def _bounds(column: Column[Any] | Any) -> NumberRange:
    kind = type_of(column)
    bits = 64 if isinstance(kind, BigInteger) else 16 if isinstance(kind, SmallInteger) else 32
    return NumberRange(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


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
    for item in error.errors():
        name = str(item["loc"][0]) if item["loc"] else ""
        message = message_for(item)
        if name in form:
            add_error(form[name], message)
            broken = broken or "Please correct the fields below."
        elif not name:
            broken = message
    if broken:
        raise ValidationRefused(broken)
    return values  # only fields that this form does not have are missing: the view fills them in
