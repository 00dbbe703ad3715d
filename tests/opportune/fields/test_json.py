"""Columns of JSON and durations without a field type: pages keep and check their values."""

import html
import re
from datetime import timedelta
from typing import Any, Literal

import pytest
from httpx2 import AsyncClient
from sqlalchemy import JSON, Column, MetaData
from sqlmodel import Field

from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.db import Model
from opportune.feature import Feature
from tests.opportune.site_with import site_fixture


class Parcel(Model, table=True):
    __tablename__ = "test_json_parcel"
    metadata = MetaData()

    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON))
    codes: list[str] = Field(default_factory=list, sa_column=Column(JSON))
    sizes: list[int] | None = Field(default=None, sa_column=Column(JSON))
    note: Any = Field(default=None, sa_column=Column(JSON))
    marks: list[Literal["fragile", "heavy"]] = Field(default_factory=list, sa_column=Column(JSON))
    lasts: timedelta | None = None


class Parcels(Crud[Parcel]):
    read_permission = write_permission = Permission.ANYONE


API = "/api/v1/parcels"
pages, api = CrudPages(Parcels, "/parcels").router, CrudApi(Parcels, "/parcels").router
app = site_fixture(Feature("parcels", models=(Parcel,), pages=[pages], api=[api]))
both_databases = pytest.mark.database("sqlite", "postgresql")


async def form_values(client: AsyncClient, page: str) -> dict[str, Any]:
    """Return what a browser would send for the form of a page."""
    text = (await client.get(page)).text
    boxes = dict(re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>\n?([^<]*)<', text))
    marks = re.findall(r'value="(\w+)"[^>]* name="marks" checked', text)
    return {name: html.unescape(value) for name, value in boxes.items()} | {"marks": marks}


@pytest.mark.parametrize(
    "values",
    [
        {"facts": {"a": [1, None, "<b>"]}, "codes": ["x", "y z"], "sizes": [1, 2], "note": {"z": None}},
        {"facts": {}, "codes": [], "sizes": None, "note": "text", "marks": ["heavy"]},
        {"note": ["a\nb"], "codes": ['"', "1"]},
        {"note": 0, "sizes": []},
    ],
)
async def test_saving_a_form_unchanged_keeps_all_values(client: AsyncClient, values: dict[str, Any]) -> None:
    before = (await client.post(API, json=values)).json()
    assert (await client.post("/parcels/1/edit", data=await form_values(client, "/parcels/1/edit"))).status_code == 303
    assert (await client.get(f"{API}/1")).json() == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("NaN", "Must not contain NaN or an infinite number."),
        (r'{"a": "\u0000"}', "Must not contain the character NUL."),
        (r'{"\ud800": 1}', "Must be valid Unicode."),
    ],
)
async def test_api_refuses_json_that_databases_refuse(client: AsyncClient, value: str, message: str) -> None:
    body = f'{{"note": {value}}}'
    response = await client.post(API, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert [error["message"] for error in response.json()["errors"]] == [message]


@pytest.mark.parametrize("innermost", ["", "{}"])
@pytest.mark.parametrize(("levels", "statuses"), [(200, (201, 200)), (201, (422, 404))])
async def test_deep_json_is_limited(
    client: AsyncClient, levels: int, statuses: tuple[int, int], innermost: str
) -> None:
    lists = levels - (innermost == "{}")
    body = f'{{"note": {"[" * lists}{innermost}{"]" * lists}}}'
    response = await client.post(API, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, (await client.get("/parcels/1")).status_code) == statuses


@pytest.mark.parametrize("days", [-719_163, 719_163])
async def test_duration_that_sqlite_cannot_store_is_refused(client: AsyncClient, days: int) -> None:
    assert (await client.post(API, json={"lasts": f"P{days}D".replace("P-", "-P")})).status_code == 422


@both_databases
@pytest.mark.parametrize("duration", ["P719162D", "-P719162D"])
async def test_duration_is_stored(client: AsyncClient, duration: str) -> None:
    row = (await client.post(API, json={"lasts": duration})).json()
    assert (await client.get(f"{API}/{row['id']}")).json()["lasts"] == row["lasts"]
