"""Widgets of the dashboard: charts of a range, bars by choice, numbers and tables."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Select, func, select
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.contrib.dashboard.widget_checks import find_widget_errors
from opportune.db.clock import utc_now
from opportune.errors import OperatorError
from opportune.feature import Feature, Metric, Number, Table
from opportune.feature.admin import Widget
from opportune.testing import add_permission, counted_statements, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import Colour, Gadget, GadgetAdmin, Maker, MakerAdmin, gadgets
from tests.opportune.crud.shop_feature import Ware, shop
from tests.opportune.site_with import site_with
from tests.opportune.stored_rows import add_rows, make_staff

WIDGETS: list[Widget] = [
    Metric("New gadgets", Gadget.created_at),
    Metric("Seen", Gadget.seen_at, shape="bar"),
    Metric("By colour", Gadget.created_at, by=Gadget.colour),
    Number("Red ones", Gadget, filters={"colour": "red"}),
    Number("Total size", select(func.sum(Gadget.size))),
    Number("Big ones", select(Gadget).where(col(Gadget.size) > 10)),
    Table("Latest", Gadget, columns=("name", "maker_id"), limit=2),
]
NUMBERS = {"Red ones": "6", "Total size": "6,001", "Big ones": "6"}


def with_widgets(*widgets: Widget) -> Feature:
    return replace(gadgets, admin=replace(gadgets.admin, metrics=widgets))


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    async with site_with(with_widgets(*WIDGETS), settings) as app:
        ages = {"today": 0, "week": 6, "month": 29, "quarter": 89, "year": 350, "old": 800}
        await add_rows(app, Maker(id=1, name="Acme"))
        for name, days in ages.items():
            created_at = utc_now() - timedelta(days=days)
            await add_rows(app, Gadget(name=name, maker_id=1, size=1000, created_at=created_at))
        await add_rows(app, Gadget(name="blue", maker_id=1, colour=Colour.DEEP_BLUE))
        yield app


@pytest.mark.database("sqlite", "postgresql")
async def test_range_of_the_address_counts_its_rows(admin: AsyncClient) -> None:
    for range_, total in (("7", 3), ("30", 4), ("90", 5), ("year", 6), ("bad", 4)):
        page = (await admin.get("/admin/", params={"range": range_, "complete": 1})).text
        per = "week" if range_ == "year" else "day"
        assert f'aria-label="New gadgets by {per}: {total} from ' in page, range_


@pytest.mark.database("sqlite", "postgresql")
async def test_widgets_show_bars_numbers_and_rows(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get("/admin/?complete=1&range=30")).text
    bars = page.partition(">By colour</a>")[2].partition("</section>")[0]
    assert "colour=red&amp;created_at__gte=" in bars
    assert '>Red</a><span class="ms-auto ps-2">3</span>' in bars
    assert '>Deep blue</a><span class="ms-auto ps-2">1</span>' in bars
    assert "1 in the 30 days before" not in bars
    assert {label: read_number(page, label) for label in NUMBERS} == NUMBERS
    assert 'href="/admin/gadget/list?colour=red">Red ones</a>' in page
    table = page.partition(">Latest</a>")[2].partition("</section>")[0]
    assert table.count("<tr>") == 3
    assert '<th scope="col">Name</th><th scope="col">Maker</th>' in table
    assert ">blue</a>" in table
    assert "Acme" in table


def read_number(page: str, label: str) -> str:
    return page.partition(f">{label}</a>")[2].partition('<div class="h1 mb-0">')[2].partition("</div>")[0]


async def test_widgets_of_hidden_models_run_no_query(app: FastAPI) -> None:
    async with signed_in_client(app, await make_staff(app, "maker.list")) as client:
        with counted_statements("test_gadget") as statements:
            page = (await client.get("/admin/?complete=1")).text
    assert [text in page for text in ("Makers", "New gadgets")] == [True, False]
    assert not statements


async def test_each_widget_takes_one_query(app: FastAPI, admin: AsyncClient) -> None:
    with counted_statements("FROM test_gadget") as statements:
        await admin.get("/admin/?complete=1")
    assert len(statements) == len(WIDGETS) + 2, "two more count the rows of all models and read the newest ones"
    with counted_statements("FROM test_gadget") as statements:
        await admin.get("/admin/?complete=1")
    assert len(statements) == 2, "counts are cached, tables and newest rows are not"


async def test_widget_by_a_hidden_column_is_not_shown(settings: Settings) -> None:
    by_cost: list[Widget] = [
        Number("Margin", select(func.sum(col(Ware.price) - col(Ware.cost)))),
        Number("Cheap", select(Ware).where(col(Ware.cost) < 5)),
        Number("Cheaper", Ware, filters={"cost__lte": "5"}),
    ]
    table = Table("First wares", Ware, columns=("name", "cost"))
    feature = replace(shop, admin=replace(shop.admin, metrics=[*by_cost, table]))
    async with site_with(feature, settings) as app:
        await add_rows(app, Ware(name="Lamp", cost=Decimal(1)))
        for permissions, is_visible in ((["ware.list"], False), (["ware.list", "ware.cost"], True)):
            async with signed_in_client(app, await make_staff(app, *permissions)) as client:
                page = (await client.get("/admin/?complete=1")).text
            assert ">Lamp<" in page
            for text in (*(f">{widget.label}</a>" for widget in by_cost), ">Cost<"):
                assert (text in page) is is_visible, text


class OwnGadgetAdmin(GadgetAdmin, model=Gadget):
    """Lists gadgets whose name begins with the user's e-mail address."""

    def list_query(self, request: Request) -> Select[Any]:
        return super().list_query(request).where(col(Gadget.name).startswith(request.state.user.email[:3]))


async def test_widgets_only_count_rows_that_the_list_shows(settings: Settings) -> None:
    feature = replace(gadgets, admin=replace(gadgets.admin, views=(MakerAdmin, OwnGadgetAdmin), metrics=WIDGETS))
    async with site_with(feature, settings) as app:
        rows = (Gadget(name=name, maker_id=1) for name in ("ada 1", "ada 2", "bob 1"))
        await add_rows(app, Maker(id=1, name="Acme"), *rows)
        pages = [await read_overview(app, f"{name}@example.com") for name in ("ada", "bob", "eve")]
    for label in ("Red ones", "Total size"):
        assert [read_number(page, label) for page in pages] == ["2", "1", "0"]
    for pattern in (r"New gadgets by day: (\d+)", r'Gadgets</a></h2>\s*<span class="ms-auto[^>]*>(\d+)<'):
        assert [re.findall(pattern, page) for page in pages] == [["2"], ["1"], ["0"]], "the cache is not shared"
    assert ["bob 1" in page for page in pages] == [False, True, False]


async def read_overview(app: FastAPI, email: str) -> str:
    staff = await make_user(app.state.database, email, is_staff=True)
    await add_permission(app.state.database, staff, "gadget", "list")
    async with signed_in_client(app, staff) as client:
        return (await client.get("/admin/?complete=1")).text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Metric("Seen", Gadget.seen_at, shape="pie"), r"needs Literal\['line', 'bar'\], not 'pie'"),  # type: ignore[arg-type]
        (lambda: Metric("Seen", Gadget.seen_at, by=User.is_staff), "needs a column of Gadget"),
        (lambda: Number("Seen", 5), "needs a model or a select"),
    ],
)
def test_invalid_widget_is_refused(make: Any, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        make()


@pytest.mark.parametrize(
    ("widget", "message"),
    [
        (Metric("Seen", Gadget.seen_at, by=Gadget.name), "by='name' needs a column with choices"),
        (Number("Seen", Gadget, filters={"color": "red"}), "Did you mean colour?"),
        (Number("Seen", Gadget, filters={"state": "old"}), "'state' is not 'old'. Choose one of new, used."),
        (Table("Seen", Gadget, columns=("nam",)), "Did you mean name?"),
        (Table("Seen", User), "User has no view. Add UserAdmin(AdminView, model=User)."),
    ],
)
def test_unknown_name_in_a_widget_is_reported(widget: Widget, message: str) -> None:
    (fault,) = find_widget_errors([with_widgets(widget)], [GadgetAdmin, MakerAdmin])
    assert fault.startswith(f"Feature('gadgets'): {type(widget).__name__}('Seen'): ")
    assert message in fault
