"""Columns with several values in the admin: PostgreSQL's arrays, and lists of choices in JSON."""

import html
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import ARRAY, JSON, Column, Integer, MetaData, String, Uuid
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects.postgresql import CIDR, INET
from sqlmodel import Field, SQLModel

from opportune.admin import AdminView
from opportune.feature import Admin, Feature
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, read_one

pytestmark = pytest.mark.database("postgresql")


class Colour(Enum):
    RED = "red"
    DEEP_BLUE = "deep_blue"


class Kit(SQLModel, table=True):
    __tablename__ = "test_kit"
    metadata = MetaData()

    id: int | None = Field(default=None, primary_key=True)
    words: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(String)))
    sizes: list[int] = Field(default_factory=list, sa_column=Column(ARRAY(Integer)))
    colours: list[Colour] = Field(default_factory=list, sa_column=Column(ARRAY(EnumType(Colour))))
    parts: list[UUID] = Field(default_factory=list, sa_column=Column(ARRAY(Uuid)))
    tints: list[Colour] = Field(default_factory=list, sa_column=Column(JSON))
    marks: list[Literal["new", "used"]] = Field(default_factory=list, sa_column=Column(JSON))
    grade: Colour | None = None
    grades: Mapping[str, Colour] = Field(default_factory=dict, sa_column=Column(JSON))


class Host(SQLModel, table=True):
    __tablename__ = "test_host"
    metadata = MetaData()

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(sa_column=Column(INET))
    network: str | None = Field(default=None, sa_column=Column(CIDR))


class HostAdmin(AdminView, model=Host): ...


class KitAdmin(AdminView, model=Kit):
    can_export = True
    filters = ("tints", "colours")


app = site_fixture(Feature("kits", models=(Kit, Host), admin=Admin((KitAdmin, HostAdmin))))
VALUES: dict[str, Any] = {
    "words": ["a", "b c"],
    "sizes": [1, 2],
    "colours": [Colour.RED, Colour.DEEP_BLUE],
    "parts": [UUID(int=3)],
    "tints": ["red"],
    "marks": ["used"],
    "grades": {"a": "red"},
}


@pytest.fixture(autouse=True)
async def _kit(app: FastAPI) -> None:
    await add_rows(app, Kit(**VALUES))


async def test_choices_are_shown_by_their_labels(admin: AsyncClient) -> None:
    for page in ("list", "details/1"):
        assert "Red, Deep blue" in (await admin.get(f"/admin/kit/{page}")).text, page


async def test_saving_a_form_unchanged_keeps_all_values(app: FastAPI, admin: AsyncClient) -> None:
    page = (await admin.get("/admin/kit/edit/1")).text
    texts = re.findall(r'<textarea[^>]* name="(\w+)"[^>]*>\n?([^<]*)', page)
    fields = {name: html.unescape(text) for name, text in texts}
    assert fields.keys() == VALUES.keys()
    assert (await admin.post("/admin/kit/edit/1", data=fields | {"sizes": "[3]"})).status_code == 303
    row = await read_one(app, Kit)
    assert {name: getattr(row, name) for name in VALUES} == VALUES | {"sizes": [3]}


async def test_only_several_choices_are_filtered(admin: AsyncClient) -> None:
    for text, is_found in (("red", True), ("blue", False)):
        assert ("Red" in (await admin.get("/admin/kit/list", params={"tints": text})).text) is is_found
    assert "Deep blue" in (await admin.get("/admin/kit/list", params={"colours": "BLUE"})).text
    for name in VALUES:
        if name not in KitAdmin.filters:
            assert (await admin.get("/admin/kit/list", params={name: "a"})).status_code == 422, name
        assert (await admin.get("/admin/kit/list", params={"sortBy": name})).status_code == 422, name


async def test_addresses_are_texts(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Host(address="10.0.0.1"))
    fields = {"address": "10.0.0.1", "network": "10.0.0.0/8", "save": "Save"}
    assert (await admin.post("/admin/host/edit/1", data=fields)).status_code == 303
    host = await read_one(app, Host)
    assert (host.address, host.network) == ("10.0.0.1", "10.0.0.0/8")
