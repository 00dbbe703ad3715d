"""What each type of field takes, refuses, stores and shows."""

from decimal import Decimal
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, BeforeValidator, TypeAdapter
from sqlalchemy import func, select
from sqlmodel import col
from starlette.datastructures import FormData

from opportune.errors import OperatorError
from opportune.fields import Phone, money_field, national
from opportune.fields.display import display
from opportune.web.forms.fields import controls_of
from opportune.web.forms.forms import Form
from tests.opportune.fields.samples_feature import Sample, Status

NUMBERS = "Please give at most 2 digits after the point."
JSON = 'Please enter JSON, such as {"colour": "red"}.'
PHONE = "Please enter a phone number with its country code, such as +43 1 711 000."
URL = "Please enter a URL, such as https://example.com."
EMAIL = "Please give an e-mail address, such as ada@example.com."


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("name", "given", "kept", "refused", "words"),
    [
        ("status", "for_sale", Status.FOR_SALE, "sold", "Please choose one of the options."),
        ("size", "large", "large", "huge", "Please choose one of the options."),
        ("price", "1234.50", Decimal("1234.50"), "1.005", NUMBERS),
        ("price", "0", Decimal(0), "-0.01", "Please give 0 or more."),
        ("discount", "0.10", Decimal("0.10"), "NaN", "Please give a number, such as 12.50."),
        (
            "email",
            "Ada@Example.com",
            "ada@example.com",
            "ada",
            "Please give an e-mail address, such as ada@example.com.",
        ),
        (
            "home",
            "https://x.at/a?b",
            "https://x.at/a?b",
            "javascript:alert(1)",
            "Please enter a URL, such as https://example.com.",
        ),
        ("phone", "+43 1 711-000", "+431711000", "711", PHONE),
        ("country", "AT", "AT", "XX", "Please choose one of the options."),
        ("keywords", "one\n\n two ", ["one", "two"], None, ""),
        ("facts", '{"a": [1, null]}', {"a": [1, None]}, "{a", JSON),
        ("facts", "[]", [], "1", JSON),
        ("about", "*hello*", "*hello*", "a\0", "Must not contain the character NUL."),
        ("slug", "My Title!", "my-title", "!!!", "Please use letters from a to z or digits."),
    ],
)
async def test_a_form_takes_and_refuses(name: str, given: str, kept: object, refused: str | None, words: str) -> None:
    form = Form(Sample)
    await form.take(FormData([("title", "One"), (name, given)]))
    assert not form.errors
    assert getattr(form.data, name) == kept
    if refused is not None:
        await form.take(FormData([("title", "One"), (name, refused)]))
        assert form.errors == {name: words}


STORED: dict[str, Any] = {
    "title": "One",
    "slug": "one",
    "status": Status.FOR_SALE,
    "size": "large",
    "price": Decimal("99999999999.99"),
    "discount": Decimal("0.10"),
    "email": "ada@example.com",
    "home": "https://x.at/",
    "phone": "+431711000",
    "country": "AT",
    "origin": None,
    "keywords": ["one", "two"],
    "facts": {"a": [1, None]},
    "about": "*hello*",
    "cover": "",
}


async def test_what_is_stored_comes_back_as_it_was_and_a_list_that_is_added_to_is_stored(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add(Sample(**STORED))
    async with app.state.database.reader() as session:
        row = (await session.scalars(select(Sample))).one()
    assert {name: getattr(row, name) for name in STORED} == STORED

    async with app.state.database.writer() as session:
        row = (await session.scalars(select(Sample))).one()
        row.keywords.append("three")
    async with app.state.database.reader() as session:
        assert (await session.scalars(select(col(Sample.keywords)))).one() == ["one", "two", "three"]


async def test_money_adds_up_exactly(app: FastAPI) -> None:
    async with app.state.database.writer() as session:
        session.add_all(Sample(title=f"{number}", price=Decimal("0.10")) for number in range(3))
    async with app.state.database.reader() as session:
        total = await session.scalar(select(func.sum(col(Sample.price))))
        found = await session.scalar(select(func.count()).where(col(Sample.price) == Decimal("0.10")))
    assert (total, found) == (Decimal("0.30"), 3)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("title", "text", "Its name"),
        ("slug", "text", "Slug"),
        ("status", "select", "Status"),
        ("price", "number", "Price"),
        ("email", "email", "Email"),
        ("home", "url", "Home"),
        ("phone", "tel", "Phone"),
        ("country", "select", "Country"),
        ("keywords", "lines", "Keywords"),
        ("facts", "json", "Facts"),
        ("about", "markdown", "About"),
        ("cover", "file", "Cover"),
        ("contract", "file", "Contract"),
        ("starts_at", "datetime-local", "Starts at"),
    ],
)
def test_a_form_asks_for_each_in_its_own_way(name: str, kind: str, words: str) -> None:
    control = controls_of(Sample)[name]
    assert (control.type, control.label) == (kind, words)


def test_what_a_row_has_is_filled_in_as_somebody_would_write_it() -> None:
    form = Form(Sample, Sample(**STORED))
    assert form.value("keywords") == "one\ntwo"
    assert form.value("facts").split() == ["{", '"a":', "[", "1,", "null", "]", "}"]
    assert (form.value("country"), form.field("country").choices["AT"]) == ("AT", "Austria")
    assert form.field("price").suffix == "EUR"
    assert form.field("slug").attributes["data-slug-from"] == "title"


def test_options_of_the_type_and_of_the_field_hold_both_also_where_it_may_be_empty() -> None:
    assert controls_of(Sample)["discount"].attributes["step"] == "0.01"
    assert controls_of(Sample)["origin"].choices["AT"] == "Austria"


def test_a_country_is_known_by_either_case_and_no_other_place_is() -> None:
    class Asked(BaseModel):
        country: Annotated[str, *Sample.model_fields["country"].metadata]

    assert Asked(country="at").country == "AT"
    with pytest.raises(ValueError, match="please enter a two-letter country code"):
        Asked(country="EU")


def test_numbers_of_a_country_may_lack_its_code() -> None:
    local = TypeAdapter(Annotated[Phone, BeforeValidator(national("AT"))])
    assert local.validate_python("01 711000") == "+431711000"
    assert local.validate_python("+44 20 7946 0000") == "+442079460000"


def test_a_currency_that_is_none_is_one_line() -> None:
    with pytest.raises(OperatorError, match="money_field"):
        money_field("euro")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("price", Decimal("1234.5"), "EUR 1,234.50"),
        ("country", "AT", "Austria"),
        ("keywords", ["a", "b"], "a, b"),
        ("facts", {"a": 1}, '{"a": 1}'),
        (
            "home",
            "https://x.at/?a&b",
            '<a href="https://x.at/?a&amp;b" rel="noopener noreferrer nofollow">https://x.at/?a&amp;b</a>',
        ),
        ("home", "javascript:alert(1)", "javascript:alert(1)"),
        ("phone", "+431711000", '<a href="tel:+431711000">+431711000</a>'),
        ("title", "<b>", "<b>"),
        ("country", "", ""),
        ("origin", None, None),
    ],
)
def test_people_read_values_in_words(name: str, value: object, shown: object) -> None:
    assert display(Sample.model_fields[name], value) == shown


def test_an_address_that_came_in_unchecked_is_text_and_no_link() -> None:
    info = Sample.model_fields["home"]
    assert display(info, "https://example.com").startswith("<a ")
    assert display(info, "javascript:alert(1)") == "javascript:alert(1)"
