"""Numbers and dates in the admin's forms, typed in the format of the user's language."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqladmin.forms import get_model_form
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import async_sessionmaker
from starlette.datastructures import FormData

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.model_fields import AdminConverter, FileCells
from opportune.db.models.model import Model
from opportune.fields import Money, money_field
from opportune.i18n import use_language
from opportune.i18n.parsing import Source

pytestmark = pytest.mark.anyio


class Offer(Model, table=True):
    __tablename__ = "test_offer"
    metadata = MetaData()

    price: Money = money_field("EUR", Decimal(1))
    copies: int = 1
    day: date | None = None
    starts_at: datetime | None = None


@pytest.fixture
async def form_class() -> type[AdminForm]:
    form: type[AdminForm] = await get_model_form(
        Offer, async_sessionmaker(), form_class=AdminForm, form_converter=AdminConverter
    )
    return form


GERMAN = {"price": "1.234,56", "copies": "1.000", "day": "31.12.2026", "starts_at": "31.12.2026, 18:30"}


def test_formats_of_language_are_read(form_class: type[AdminForm]) -> None:
    with use_language("de"):
        form = form_class(FormData(GERMAN))
        assert form.validate(), form.errors
    values: dict[str, Any] = {name: form[name].data for name in ("price", "copies", "day")}
    assert values == {"price": Decimal("1234.56"), "copies": 1000, "day": date(2026, 12, 31)}
    assert form["starts_at"].data.replace(tzinfo=None) == datetime.fromisoformat("2026-12-31T18:30")


def test_invalid_text_is_shown_unchanged(form_class: type[AdminForm]) -> None:
    with use_language("de"):
        form = form_class(FormData({"price": "1,2,3", "day": "31.2.2026"}))
        assert not form.validate()
        assert 'type="text" value="1,2,3"' in str(form["price"]())
        assert 'value="31.2.2026"' in str(form["day"]())


def test_files_are_in_machine_format(form_class: type[AdminForm]) -> None:
    with use_language("de"):
        form = form_class(FileCells(GERMAN, Source.MACHINE))
        form.validate()
    assert {*form.errors} == {"price", "copies", "day", "starts_at"}
