"""Rows whose primary key is a text, a UUID or several columns, as in the tables of existing applications."""

import re
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Column, MetaData, String, select
from sqlmodel import Field, SQLModel, col

from opportune.admin import AdminView
from opportune.admin.lists.row_keys import quote_key
from opportune.feature import Admin, Feature
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, read_one


class Table(SQLModel):
    metadata = MetaData()


class Country(Table, table=True):
    __tablename__ = "test_country"

    code: str = Field(primary_key=True, max_length=40)
    name: str = Field(default="Nowhere", sa_column=Column(String, nullable=False))

    def __str__(self) -> str:
        return self.name


class Ship(Table, table=True):
    __tablename__ = "test_ship"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    country_code: str | None = Field(default=None, foreign_key="test_country.code")

    def __str__(self) -> str:
        return self.name


class Cabin(Table, table=True):
    __tablename__ = "test_cabin"

    deck: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    ship_id: UUID | None = Field(default=None, foreign_key="test_ship.id")
    beds: int = 2


class Passport(Table, table=True):
    __tablename__ = "test_passport"

    ship_id: UUID = Field(primary_key=True, foreign_key="test_ship.id")
    number: str = ""


class CountryAdmin(AdminView, model=Country):
    pass


class ShipAdmin(AdminView, model=Ship):
    pass


class CabinAdmin(AdminView, model=Cabin):
    pass


class PassportAdmin(AdminView, model=Passport):
    pass


MODELS = (Country, Ship, Cabin, Passport)
VIEWS = (CountryAdmin, ShipAdmin, CabinAdmin, PassportAdmin)
app = site_fixture(Feature("fleet", "For tests.", models=MODELS, admin=Admin(VIEWS)))
both_databases = pytest.mark.database("sqlite", "postgresql")
SHIP = UUID(int=7)


async def error_of(admin: AsyncClient, page: str, fields: dict[str, Any]) -> str:
    response = await admin.post(page, data=fields | {"save": "Save"})
    assert response.status_code == 400
    return re.findall(r'id="error-[^"]*">([^<]*)', response.text)[0]  # type: ignore[no-any-return]


@both_databases
async def test_row_with_a_text_as_key_is_edited(app: FastAPI, admin: AsyncClient) -> None:
    for key in ("AT", "a/b & ü;x", "50%", "7"):
        await add_rows(app, Country(code=key, name="Austria"))
        page = f"/admin/country/edit/{quote(quote_key(key))}"
        assert page in (await admin.get("/admin/country/list")).text, key
        assert (await admin.post(page, data={"name": "Austria!", "save": "Save"})).status_code == 303, key
        assert "Austria!" in (await admin.get(f"/admin/country/details/{quote(key)}")).text, key


@both_databases
async def test_row_with_two_key_columns_is_edited(app: FastAPI, admin: AsyncClient) -> None:
    for deck in ("A", "sun;deck", "back\\;slash"):
        await add_rows(app, Cabin(deck=deck, number=1), Cabin(deck=deck, number=2))
        key = deck.replace("\\", "\\\\").replace(";", "\\;") + ";2"
        assert (await admin.post(f"/admin/cabin/edit/{quote(key)}", data={"beds": "3"})).status_code == 303, deck
        changed = select(Cabin).where(col(Cabin.deck) == deck, col(Cabin.beds) == 3)
        assert (await read_one(app, changed)).number == 2, deck


async def test_row_with_a_long_key_has_a_history(app: FastAPI, admin: AsyncClient) -> None:
    deck = "A" * 70
    await add_rows(app, *(Cabin(deck=deck, number=number, beds=1) for number in (1, 2)))
    for number, beds in ((1, 111), (2, 222)):
        response = await admin.post(f"/admin/cabin/edit/{deck};{number}", data={"beds": str(beds)})
        assert response.status_code == 303, number
    history = (await admin.get(f"/admin/cabin/history/{deck};1")).text
    assert ("111" in history, "222" in history) == (True, False)


async def test_impossible_key_is_not_found(admin: AsyncClient) -> None:
    for key in ("A", "A;", "A;one", "A;1;2", ";", "\\"):
        assert (await admin.get(f"/admin/cabin/details/{quote(key)}")).status_code == 404, key


async def test_key_that_users_type_is_asked_only_for_a_new_row(app: FastAPI, admin: AsyncClient) -> None:
    assert await error_of(admin, "/admin/country/create", {"name": "Austria"}) == "This field is required."
    assert (await admin.post("/admin/country/create", data={"name": "Austria", "code": "AT"})).status_code == 303
    assert (await read_one(app, select(Country))).code == "AT"
    assert 'name="code"' not in (await admin.get("/admin/country/edit/AT")).text


async def test_key_with_a_default_is_not_asked(admin: AsyncClient) -> None:
    assert 'name="id"' not in (await admin.get("/admin/ship/create")).text


@both_databases
async def test_reference_by_a_text_is_chosen_by_title(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Country(code="AT", name="Austria"))
    assert "Austria" in (await admin.get("/admin/ship/ajax/lookup?name=country_code&term=aus")).text
    assert (await admin.post("/admin/ship/create", data={"name": "Aida", "country_code": "AT"})).status_code == 303
    assert ">Austria</a>" in (await admin.get("/admin/ship/list")).text
    assert "Aida" in (await admin.get("/admin/ship/list?country_code=AT")).text


@both_databases
async def test_reference_by_a_uuid_is_chosen_by_title(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Ship(id=SHIP, name="Aida"))
    fields = {"deck": "A", "number": "1", "ship_id": str(SHIP)}
    assert (await admin.post("/admin/cabin/create", data=fields)).status_code == 303
    assert ">Aida</a>" in (await admin.get("/admin/cabin/list")).text
    assert "Cabins" in (await admin.get(f"/admin/ship/details/{SHIP}")).text


@both_databases
async def test_reference_to_no_row_is_refused(admin: AsyncClient) -> None:
    for ship in ("7", "none", str(UUID(int=8))):
        fields = {"deck": "A", "number": "1", "ship_id": ship}
        assert await error_of(admin, "/admin/cabin/create", fields) in (
            "Choose one from the list, or enter its number.",
            "The selected entry no longer exists.",
        ), ship


@both_databases
async def test_key_that_refers_to_another_row_is_chosen_once(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Ship(id=SHIP, name="Aida"))
    fields = {"ship_id": str(SHIP), "number": "1"}
    assert (await admin.post("/admin/passport/create", data=fields)).status_code == 303
    assert (await admin.post(f"/admin/passport/edit/{SHIP}", data={"number": "2"})).status_code == 303
    assert (await read_one(app, select(Passport))).number == "2"
    assert ">Aida</a>" in (await admin.get("/admin/passport/list")).text
    assert await error_of(admin, "/admin/passport/create", fields) == "This value is already in use."


async def test_default_beside_sa_column_is_filled_in(admin: AsyncClient) -> None:
    assert "Nowhere</textarea>" in (await admin.get("/admin/country/create")).text


async def test_default_beside_sa_column_may_be_left_empty(app: FastAPI, admin: AsyncClient) -> None:
    assert (await admin.post("/admin/country/create", data={"code": "AT", "name": ""})).status_code == 303
    assert (await read_one(app, select(Country))).name == ""
