"""Form controls of model fields, and numbers and dates in the format of the visitor."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, EmailStr, Field, HttpUrl, SecretStr, create_model
from starlette.datastructures import FormData

from opportune.accounts.models import User
from opportune.db.models.labels import label_of
from opportune.db.models.references import Reference
from opportune.fields import FieldOptions, Line, Money, Password, Text, money_field
from opportune.i18n import gettext, use_language
from opportune.web import Form, ImageUpload, Upload, templates
from opportune.web.forms.controls import Control, controls_of
from opportune.web.forms.error_messages import INVALID_NUMBER
from opportune.web.forms.input_texts import as_text


class Colour(Enum):
    DARK_RED = "dark_red"


def control(annotation: Any, default: Any = ..., name: str = "one") -> Control:
    """Return the control of a model with one field."""
    fields: Any = {name: (annotation, default)}
    return controls_of(create_model("OneField", **fields))[name]


CONTROLS: dict[str, list[Any]] = {
    "text": [str, Line],
    "textarea": [Text, Text | None],
    "password": [Password, SecretStr],
    "email": [EmailStr],
    "url": [HttpUrl],
    "number": [int, float | None, Decimal],
    "date": [date, date | None],
    "datetime-local": [datetime],
    "time": [time],
    "checkbox": [bool, Literal[True]],
    "select": [bool | None, Literal["a", "b"], Literal["a"] | None, Colour],
    "checkboxes": [list[Colour], set[Literal["a", "b"]]],
    "file": [Upload, ImageUpload | None, list[Upload]],
    "search": [Annotated[Line, FieldOptions(type="search")]],
}


def test_type_and_name_of_a_field_select_its_control() -> None:
    for control_type, annotations in CONTROLS.items():
        assert [control(annotation).type for annotation in annotations] == [control_type] * len(annotations)
    assert control(str, name="old_password").type == "password"
    assert control(bool, name="password_expires").type == "checkbox"


def test_limits_become_html_attributes() -> None:
    line = Annotated[str, Field(min_length=3, max_length=9, pattern="[a-z]+", examples=["abc"])]
    attributes = {"minlength": 3, "maxlength": 9, "pattern": ".*(?:[a-z]+).*", "placeholder": "abc"}
    assert control(line).attributes == attributes, "browsers compare the whole text with the pattern"
    assert control(Annotated[str, Field(pattern="^[a-z]+$")]).attributes["pattern"] == "^[a-z]+$"
    limited = control(Annotated[int, Field(gt=0, lt=10, multiple_of=2)])
    assert limited.attributes.items() >= {"min": "2", "max": 9, "step": 2}.items(), "steps begin at the minimum"
    assert control(Annotated[float, Field(ge=0.5)]).attributes.items() >= {"min": 0.5, "step": "any"}.items()
    assert control(Annotated[Line, Field(min_length=1)]).attributes == {"placeholder": None}
    assert control(ImageUpload).attributes["accept"] == "image/jpeg,image/png,image/webp,image/gif"


def test_label_is_title_or_name() -> None:
    assert control(date, name="due_on").label == "Due on"
    assert control(bool, name="is_paid").label == label_of("is_paid") == "Paid"
    assert control(str, name="client_id").label == "Client ID"
    assert control(Annotated[list[int], Reference(User)], name="owner_ids").label == label_of("owner_id") == "Owner"
    assert control(str, name="is_").label
    named = control(str, Field(title="E-mail", description="The answer goes there."))
    assert (named.label, named.help) == ("E-mail", "The answer goes there.")


def test_choices_have_labels_with_empty_first() -> None:
    assert control(Colour).choices == {"dark_red": "Dark red"}
    assert control(bool | None).choices == {"true": "Yes", "false": "No"}
    choices = control(Annotated[Literal["new", ""], FieldOptions({"": "All"})]).choices
    assert list(choices.items()) == [("", "All"), ("new", "New")]


def test_checkbox_is_required_only_for_literal_true() -> None:
    assert not control(bool).required
    assert control(Literal[True]).required
    assert control(int).required
    assert not control(int | None, None).required


def test_values_are_formatted_for_html() -> None:
    for value, text in (
        (None, ""),
        (True, "true"),
        (0, "0"),
        (Colour.DARK_RED, "dark_red"),
        (date(2026, 3, 10), "2026-03-10"),
        (datetime(2026, 3, 10, 18, 30, tzinfo=UTC), "2026-03-10T18:30"),
        (datetime.fromisoformat("2026-03-10T18:30:05.5+02:00"), "2026-03-10T16:30:05"),
    ):
        assert as_text(value) == text, value


class Offer(BaseModel):
    price: Money = money_field("EUR", Decimal(1))
    copies: int = Field(1, ge=1)
    discount: Annotated[float, FieldOptions(suffix="%")] = 0
    day: date | None = None
    starts_at: datetime | None = None


async def fill(language: str, **texts: str) -> Form[Offer]:
    form = Form(Offer)
    with use_language(language):
        await form.fill(FormData(texts))
    return form


@pytest.mark.parametrize(
    ("language", "name", "text", "value"),
    [
        ("de", "price", "1.234,56 €", Decimal("1234.56")),
        ("de", "copies", "1.000", 1000),
        ("fr", "discount", "12,5 %", 12.5),
        ("de", "day", "31.12.2026", date(2026, 12, 31)),
        ("fr", "starts_at", "31/12/2026 18:30", datetime.fromisoformat("2026-12-31T18:30:00+00:00")),
    ],
)
async def test_formats_of_language_are_read(language: str, name: str, text: str, value: Any) -> None:
    form = await fill(language, **{name: text})
    assert form.data is not None, form.errors
    assert getattr(form.data, name) == value


@pytest.mark.parametrize(
    ("name", "text"), [("price", "1,2,3"), ("copies", "1,5"), ("day", "31.2.2026"), ("starts_at", "31.12.2026 25:00")]
)
async def test_invalid_text_is_shown_unchanged(name: str, text: str) -> None:
    form = await fill("de", **{name: text})
    assert {*form.errors} == {name}
    macros: Any = templates.environment.get_template("macros/forms.html").module
    assert f'type="text" value="{text}"' in str(macros.box(form.field(name)))


async def test_amount_that_may_mean_one_or_a_thousand_is_refused() -> None:
    assert (await fill("en", price="1.000")).errors == {"price": gettext(INVALID_NUMBER)}


class Visit(BaseModel):
    day: date = Field(ge=date(2026, 12, 31))
    hours: float = Field(ge=0.5)


async def test_limits_have_the_format_of_the_language() -> None:
    form = Form(Visit)
    with use_language("de"):
        await form.fill(FormData({"day": "1.1.2026", "hours": "0,25"}))
    assert "31.12.2026" in form.errors["day"]
    assert "0,5" in form.errors["hours"]
