"""Validation, storage and display of field types, and slugs with their history."""

from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col
from starlette.datastructures import FormData

from opportune.errors import OperatorError
from opportune.fields import find_moved, money_field, slugify
from opportune.fields.display import display
from opportune.i18n import use_language
from opportune.web.forms.forms import Form
from tests.opportune.fields.samples_feature import Follower, Sample, Status
from tests.opportune.stored_rows import add_rows, change_row, get_row, read_all, read_one

JSON_MESSAGE = 'Please write this as JSON, such as {"colour": "red"}.'
PHONE_MESSAGE = "Please enter a phone number with its country code, such as +43 1 711 000."
URL_MESSAGE = "Please enter a URL, such as https://example.com."
EMAIL_MESSAGE = "Please enter an e-mail address, such as ada@example.com."


@pytest.mark.parametrize(
    ("name", "text", "stored", "invalid", "message"),
    [
        ("status", "for_sale", Status.FOR_SALE, "sold", "Please choose one of the options."),
        ("price", "1234.50", Decimal("1234.50"), "1.005", "Please enter at most 2 digits after the point."),
        ("discount", "0.10", Decimal("0.10"), "NaN", "Please enter a number, such as 12.50."),
        ("email", "Ada@Example.com", "ada@example.com", "ada", EMAIL_MESSAGE),
        ("home", "https://x.at/a?b", "https://x.at/a?b", "javascript:alert(1)", URL_MESSAGE),
        ("phone", "+43 1 711-000", "+431711000", "711", PHONE_MESSAGE),
        ("phone", "+1 253-222-0000", "+12532220000", "+1 2530000", PHONE_MESSAGE),
        ("phone", "", "", "+43 1 711000 ext. 55", PHONE_MESSAGE),
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
    row = await read_one(app, Sample)
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


def test_display_formats_values() -> None:
    for name, value, displayed in (
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
    ):
        assert display(Sample.model_fields[name], value) == displayed, name


SLUGS = {
    "Çay & Python 3.14": "cay-python-3-14",
    "日本": "",
    "Straße, STRAẞE": "strasse-strasse",
    "Ærø, Œuvre, Þór, Đà, Ħal, \u0131ş\u0131k, Łódź, Ŋ, Ŧ, ð": "aero-oeuvre-thor-da-hal-isik-lodz-n-t-d",
    "x" * 90: "x" * 80,
}


async def read_slugs(app: FastAPI) -> list[str]:
    return await read_all(app, select(col(Sample.slug)).order_by(col(Sample.id)))


@pytest.mark.parametrize("text", SLUGS)
def test_text_is_converted_to_a_slug(text: str) -> None:
    assert slugify(text) == SLUGS[text]


async def test_empty_slug_is_made_unique_from_the_title(app: FastAPI) -> None:
    long_name = "A title that is longer than thirty"
    await add_rows(app, Sample(title="One Book"))
    titles = ("One book", "One, book!", long_name, long_name, "日本", "One book at last")
    await add_rows(app, *(Sample(title=title) for title in titles), Sample(title="One book", slug="my-own"))
    slugs = "one-book one-book-2 one-book-3 a-title-that-is-longer-than-th a-title-that-is-longer-t-2"
    assert await read_slugs(app) == [*slugs.split(), "sample", "one-book-at-last", "my-own"]


async def test_reserved_slug_gets_a_number(app: FastAPI) -> None:
    await add_rows(app, Sample(title="New"), Sample(title="Mine", slug="new"))
    assert await read_slugs(app) == ["new-2", "new-3"]


async def test_slug_stays_until_it_is_cleared(app: FastAPI) -> None:
    await add_rows(app, Sample(title="One"))
    await change_row(app, Sample, title="Two")
    assert await read_slugs(app) == ["one"]
    await change_row(app, Sample, slug="")
    assert await read_slugs(app) == ["two"]


@pytest.mark.database("sqlite", "postgresql")
async def test_old_slug_finds_the_row(app: FastAPI) -> None:
    await add_rows(app, Follower(name="One"), Follower(name="Other"))
    for name in ("Two", "Three", "Two"):
        await change_row(app, Follower, name=name)
    assert (await get_row(app, Follower)).old_slugs == ["one", "three"]
    async with app.state.database.reader() as session:
        moved_rows = [await find_moved(session, Follower, slug) for slug in ("one", "three", "two", "on", "%", '"')]
        assert await find_moved(session, Sample, "one") is None
    assert [row and row.id for row in moved_rows] == [1, 1, None, None, None, None]
