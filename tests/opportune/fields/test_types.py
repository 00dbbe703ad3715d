"""Validation, storage and display of field types."""

from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col
from starlette.datastructures import FormData

from opportune.errors import OperatorError
from opportune.fields import money_field
from opportune.fields.display import display
from opportune.i18n import use_language
from opportune.web.forms.forms import Form
from tests.opportune.fields.samples_feature import Sample, Status
from tests.opportune.stored_rows import add_rows, read_one

DECIMALS_MESSAGE = "Please enter at most 2 digits after the point."
JSON_MESSAGE = 'Please write this as JSON, such as {"colour": "red"}.'
PHONE_MESSAGE = "Please enter a phone number with its country code, such as +43 1 711 000."
URL_MESSAGE = "Please enter a URL, such as https://example.com."
EMAIL_MESSAGE = "Please enter an e-mail address, such as ada@example.com."


@pytest.mark.parametrize(
    ("name", "text", "stored", "invalid", "message"),
    [
        ("status", "for_sale", Status.FOR_SALE, "sold", "Please choose one of the options."),
        ("price", "1234.50", Decimal("1234.50"), "1.005", DECIMALS_MESSAGE),
        ("discount", "0.10", Decimal("0.10"), "NaN", "Please enter a number, such as 12.50."),
        ("email", "Ada@Example.com", "ada@example.com", "ada", EMAIL_MESSAGE),
        ("home", "https://x.at/a?b", "https://x.at/a?b", "javascript:alert(1)", URL_MESSAGE),
        ("phone", "+43 1 711-000", "+431711000", "711", PHONE_MESSAGE),
        ("country", "AT", "AT", "XX", "Please choose one of the options."),
        ("keywords", "one\n\n two ", ["one", "two"], None, ""),
        ("facts", '{"a": [1, null]}', {"a": [1, None]}, "{a", JSON_MESSAGE),
        ("about", "*hello*", "*hello*", "a\0", "Must not contain the character NUL."),
        ("slug", "My Title!", "my-title", "!!!", "Please use letters from a to z or digits."),
    ],
)
async def test_form_checks_values(name: str, text: str, stored: object, invalid: str | None, message: str) -> None:
    form = Form(Sample)
    await form.fill(FormData([("title", "One"), (name, text)]))
    assert not form.errors
    assert getattr(form.data, name) == stored
    if invalid is not None:
        await form.fill(FormData([("title", "One"), (name, invalid)]))
        assert form.errors == {name: message}


STORED_VALUES: dict[str, Any] = (
    {"title": "One", "slug": "one", "status": Status.FOR_SALE, "size": "large", "about": "*hello*", "cover": ""}
    | {"price": Decimal("99999999999.99"), "discount": Decimal("0.10"), "country": "AT", "origin": None}
    | {"email": "ada@example.com", "home": "https://x.at/", "phone": "+431711000"}
    | {"keywords": ["one", "two"], "facts": {"a": [1, None]}}
)


@pytest.mark.database("sqlite", "postgresql")
async def test_stored_values_round_trip(app: FastAPI) -> None:
    await add_rows(app, Sample(**STORED_VALUES))
    row = await read_one(app, select(Sample))
    assert {name: getattr(row, name) for name in STORED_VALUES} == STORED_VALUES

    async with app.state.database.writer() as session:
        row = (await session.scalars(select(Sample))).one()
        row.keywords.append("three")
    assert await read_one(app, select(col(Sample.keywords))) == ["one", "two", "three"]


@pytest.mark.database("sqlite", "postgresql")
async def test_money_sums_are_exact(app: FastAPI) -> None:
    await add_rows(app, *(Sample(title=f"{number}", price=Decimal("0.10")) for number in range(3)))
    assert await read_one(app, select(func.sum(col(Sample.price)))) == Decimal("0.30")
    assert await read_one(app, select(func.count()).where(col(Sample.price) == Decimal("0.10"))) == 3


@pytest.mark.parametrize(("language", "codes"), [("en", "AF AX AL"), ("de", "AF EG AX")])
def test_countries_are_in_alphabetical_order(language: str, codes: str) -> None:
    form = Form(Sample, Sample(**STORED_VALUES))
    with use_language(language):
        assert [code for code in form.field("country").choices if code][:3] == codes.split()


def test_invalid_currency_is_refused() -> None:
    with pytest.raises(OperatorError, match="money_field"):
        money_field("euro")


@pytest.mark.parametrize(
    ("name", "value", "displayed"),
    [
        ("price", Decimal("1234.5"), "EUR\N{NO-BREAK SPACE}1,234.50"),
        ("country", "AT", "Austria"),
        ("facts", {"a": 1}, '{"a": 1}'),
        (
            "home",
            "https://x.at/?a&b",
            '<a href="https://x.at/?a&amp;b" rel="noopener noreferrer nofollow">https://x.at/?a&amp;b</a>',
        ),
        ("home", "javascript:alert(1)", "javascript:alert(1)"),
        ("phone", "+431711000", '<a dir="ltr" href="tel:+431711000">+431711000</a>'),
        ("origin", None, None),
    ],
)
def test_display_formats_values(name: str, value: object, displayed: object) -> None:
    assert display(Sample.model_fields[name], value) == displayed
