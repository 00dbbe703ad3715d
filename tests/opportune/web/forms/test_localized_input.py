"""Numbers and dates in forms, typed in the format of the visitor's language."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from starlette.datastructures import FormData

from opportune.fields import Money, money_field
from opportune.i18n import gettext, use_language
from opportune.web import FieldOptions, Form, templates
from opportune.web.forms.error_messages import INVALID_NUMBER


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
