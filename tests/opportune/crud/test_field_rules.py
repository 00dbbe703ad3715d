"""Fields that a user may not see or not write, in the data layer, the API and pages."""

import re
from collections.abc import AsyncIterator, Collection
from decimal import Decimal
from functools import cache, cached_property
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlmodel import col

from opportune.accounts import User
from opportune.crud import Crud, CrudApi, Permission
from opportune.db import Database
from opportune.errors import FieldErrors, OperatorError
from opportune.testing import add_permission, make_user, signed_in_client
from tests.opportune.crud.shop_feature import Mark, Vendor, Ware, Wares, make_wares, shop
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, read_one
from tests.opportune.tables import UnmigratedTable, make_tables

API, PAGE = "/api/v1/wares", "/wares"
app = site_fixture(shop, make_wares)


@pytest.fixture
async def seller(app: FastAPI) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, await make_user(app.state.database)) as client:
        yield client


@pytest.fixture
async def buyer(app: FastAPI, user: User, user_client: AsyncClient) -> AsyncClient:
    """Client of a user with the permission `cost`, who sees and writes all fields."""
    await add_permission(app.state.database, user, "ware", "cost")
    await add_permission(app.state.database, user, "vendor", "cost")
    return user_client


async def read_ware(app: FastAPI, name: str) -> Ware:
    ware: Ware = await read_one(app, select(Ware).where(col(Ware.name) == name))
    return ware


# The API


async def test_responses_omit_hidden_fields(seller: AsyncClient) -> None:
    items, row = (await seller.get(API)).json()["items"], (await seller.get(f"{API}/1")).json()
    assert items[1] == row == {"id": 1, "name": "Lamp", "price": "9.00", "status": "new", "vendor": {"id": 1}}


async def test_responses_have_all_fields_with_the_permission(buyer: AsyncClient) -> None:
    read = (await buyer.get(f"{API}/1")).json()
    assert (read["cost"], read["note"], read["buyer_id"], read["profit"]) == ("7.00", "Haggle", 2, "2.00")
    assert (read["marks"], read["vendor"]) == ([1], {"id": 1, "region": "Atlantis"})


async def test_write_responses_omit_hidden_fields(seller: AsyncClient) -> None:
    added = await seller.post(API, json={"name": "Pen", "price": "2"})
    changed = await seller.patch(f"{API}/1", json={"price": "8"})
    assert (added.status_code, changed.status_code) == (201, 200)
    assert {*added.json()} == {*changed.json()} == {"id", "name", "price", "status", "vendor"}


HIDDEN_QUERIES = "cost=7 cost__in=7 buyer=2 marks__all=1 cheap=true sort=cost sort=profit sort=vendor.region order=cost"


async def test_queries_by_hidden_fields_are_refused_as_unknown(seller: AsyncClient) -> None:
    for query in HIDDEN_QUERIES.split():
        for path in (API, PAGE):
            response = await seller.get(f"{path}?{query}", headers={"Accept": "application/json"})
            errors = response.json()["errors"]
            assert (response.status_code, errors[0]["field"]) == (422, [query.partition("=")[0]]), query
    hidden, unknown = [(await seller.get(f"{API}?{name}=1")).json()["errors"] for name in ("cost", "colour")]
    assert hidden[0]["message"] == unknown[0]["message"]


@pytest.mark.database("sqlite", "postgresql")
async def test_search_skips_hidden_fields(seller: AsyncClient, buyer: AsyncClient) -> None:
    for term, totals in (("haggle", [0, 1]), ("atlantis", [0, 1]), ("lamp", [1, 1])):
        pages = [(await client.get(f"{API}?q={term}")).json() for client in (seller, buyer)]
        assert [page["total"] for page in pages] == totals, term


async def test_default_order_skips_hidden_fields(app: FastAPI, seller: AsyncClient, buyer: AsyncClient) -> None:
    await add_rows(app, Ware(name="Pin", cost=Decimal(1)))
    orders = [[item["id"] for item in (await client.get(API)).json()["items"]] for client in (seller, buyer)]
    assert orders == [[3, 2, 1], [1, 2, 3]]


async def test_writing_hidden_or_locked_fields_is_refused(app: FastAPI, seller: AsyncClient) -> None:
    for name in ("cost", "note", "buyer_id", "marks", "status"):
        value: Any = {"cost": "1", "buyer_id": 1, "marks": []}.get(name, "mine")
        added = await seller.post(API, json={"name": "Pen", name: value})
        changed = await seller.patch(f"{API}/1", json={"price": "1", name: value})
        assert [response.status_code for response in (added, changed)] == [422, 422], name
        errors = [{"field": [name], "message": "There is no field or parameter of this name."}]
        assert added.json()["errors"] == changed.json()["errors"] == errors, name
        assert (await read_ware(app, "Lamp")).price == 9, name


async def test_change_keeps_hidden_and_locked_values(app: FastAPI, seller: AsyncClient) -> None:
    assert (await seller.patch(f"{API}/1", json={"price": "8"})).status_code == 200
    ware = await read_ware(app, "Lamp")
    assert (ware.price, ware.cost, ware.note, ware.status) == (Decimal(8), Decimal(7), "Haggle", "new")


# Pages


async def test_pages_omit_hidden_fields(seller: AsyncClient) -> None:
    for path in (PAGE, f"{PAGE}/1", f"{PAGE}/1/edit", f"{PAGE}/new", f"{PAGE}/1/delete"):
        text = (await seller.get(path)).text
        words = ("Cost", "7.00", "Note", "Haggle", "Buyer", "Top", "Profit", "2.00", "Region", "Atlantis", "heap")
        assert [word for word in words if re.search(rf"\b{word}\b", text)] == [], path  # tokens contain any letters


async def test_form_ignores_hidden_and_locked_values(app: FastAPI, seller: AsyncClient) -> None:
    sent = {"name": "Lamp", "price": "5", "cost": "1", "note": "x", "status": "sold", "buyer_id": "1"}
    assert (await seller.post(f"{PAGE}/1/edit", data=sent)).status_code == 303
    ware = await read_ware(app, "Lamp")
    assert (ware.price, ware.cost) == (Decimal(5), Decimal(7))
    assert (ware.note, ware.status, ware.buyer_id) == ("Haggle", "new", 2)


async def test_prefilling_ignores_hidden_and_locked_fields(seller: AsyncClient) -> None:
    text = (await seller.get(f"{PAGE}/new?name=Pen&status=sold&cost=66")).text
    assert 'value="Pen"' in text
    assert "sold" not in text.replace("status=sold", "")


async def test_choices_neither_come_from_nor_match_hidden_fields(seller: AsyncClient, buyer: AsyncClient) -> None:
    for name in ("buyer", "buyer_id", "buyer__in", "marks"):
        url = f"{PAGE}/new/choices?name={name}&term="
        assert [(await client.get(url)).status_code for client in (seller, buyer)] == [404, 200], name
    url = f"{PAGE}/new/choices?name=vendor&term=atlantis"
    assert [len((await client.get(url)).json()["results"]) for client in (seller, buyer)] == [0, 1]


# The data layer


@pytest.fixture
async def tables(database: Database) -> Database:
    await make_tables(database, Ware)
    await add_rows(database, *make_wares())
    return database


async def test_instance_of_the_schema_may_not_set_hidden_fields(tables: Database) -> None:
    user = await make_user(tables)
    async with tables.writer() as session:
        with pytest.raises(FieldErrors, match="no field"):
            await Wares(session, user).create(Wares.Create(name="Pen", cost=Decimal(1)))


class CatalogueRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    cost: Decimal


async def test_custom_schema_omits_hidden_fields(tables: Database) -> None:
    class Catalogue(Crud[Ware]):
        read_permission = Permission.ANYONE
        read_schema = CatalogueRow

        def hidden_fields(self) -> Collection[str]:
            return () if self.user else {"cost"}

    user = User(id=1, email="ann@example.com", hashed_password="")
    async with tables.reader() as session:
        for crud, cost in ((Catalogue(session), b""), (Catalogue(session, user), b',"cost":"3.00"')):
            serializer = crud.serializer
            page, row = await crud.list_values(None, serializer.names), await crud.get_values(2, serializer.names)
            assert serializer.write_rows(page.items[:1]) == b'[{"id":2,"name":"Mug"%b}]' % cost
            assert serializer.write_row(row) == b'{"id":2,"name":"Mug"%b}' % cost


@pytest.mark.database("sqlite", "postgresql")
async def test_new_row_is_returned_to_users_who_may_not_read_it(tables: Database) -> None:
    class Margin(BaseModel):
        margin: Decimal

    class Offers(Crud[Ware]):
        write_permission = Permission.ANYONE
        read_schema = Margin

    async with tables.writer() as session:
        offers = Offers(session)
        response = await CrudApi(Offers, "/offers").create(offers, Offers.Create(name="Pen", price=Decimal(9)))
    assert response.body == b'{"margin":"9.00"}'


@pytest.mark.parametrize(
    ("method", "model", "names", "message"),
    [
        ("hidden_fields", Ware, {"prise"}, "Ware has no 'prise'. Did you mean price?"),
        ("hidden_fields", Ware, {"id"}, "'id' identifies the row in addresses. Leave it out."),
        ("hidden_fields", Ware, {"name"}, "'name' is part of the rows' titles (__str__)"),
        ("hidden_fields", Ware, "cost", "it returned 'cost'. Return a set of names."),
        ("readonly_fields", Ware, {"profit"}, "Ware has no 'profit'"),
    ],
)
def test_invalid_names_of_fields_are_reported(method: str, model: type[Any], names: Any, message: str) -> None:
    bad: Any = type("Bad", (Crud,), {"model": model, method: lambda _self: names})
    with pytest.raises(OperatorError) as error:
        _ = bad(None).hidden_names, bad(None).locked_names
    assert str(error.value).startswith(f"Bad.{method}: {message}")
    assert "\n" not in str(error.value)


def test_values_computed_from_hidden_fields_are_hidden() -> None:
    total = select(func.max(col(Ware.cost))).where(col(Ware.vendor_id) == col(Vendor.id))

    class Computed(Crud[Ware]):
        annotations = {"highest": total, "marked": select(func.count(col(Mark.id)))}

        def hidden_fields(self) -> Collection[str]:
            return {"cost"}

    assert Computed(None).hidden_names == {"cost", "highest", "margin"}  # type: ignore[arg-type]  # no query is made


COMPUTED: dict[str, tuple[type[Any], Any]] = {
    "in a generator": (Ware, property(lambda ware: sum(each.cost for each in [ware]))),
    "by name": (Ware, property(lambda ware: vars(ware)["cost"])),
    "by a decorated function": (Ware, property(cache(lambda ware: ware.cost))),
    "in a cached property": (Ware, cached_property(lambda ware: ware.cost)),
    "by another property": (Ware, property(lambda ware: ware.margin)),
    "by names in a tuple": (Ware, property(lambda ware: [getattr(ware, name) for name in ("price", "cost")])),
    "in a format": (Ware, property(lambda ware: "{price} {cost}".format_map(vars(ware)))),
    "in a hybrid property": (Ware, hybrid_property(lambda ware: ware.cost)),
    "by an association proxy": (Ware, association_proxy("vendor", "cost")),
    "in a property of a base class": (UnmigratedTable, property(lambda ware: ware.cost)),
}


@pytest.mark.parametrize(("model", "computed"), COMPUTED.values(), ids=COMPUTED)
def test_property_of_a_hidden_field_is_hidden(model: type[Any], computed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "computed", computed, raising=False)
    rules: Any = type("Computed", (Crud,), {"model": Ware, "hidden_fields": lambda _self: {"cost"}})
    assert "computed" in rules(None).hidden_names


def test_long_chain_of_properties_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    links: dict[str, Any] = {
        "first": property(lambda ware: ware.second),
        "second": property(lambda ware: ware.third),
        "third": property(lambda ware: ware.fourth or ware.first),
        "fourth": property(lambda ware: ware.margin),
    }
    for name, link in links.items():
        monkeypatch.setattr(Ware, name, link, raising=False)
    rules: Any = type("Computed", (Crud,), {"model": Ware, "hidden_fields": lambda _self: {"cost"}})
    assert rules(None).hidden_names >= links.keys()
