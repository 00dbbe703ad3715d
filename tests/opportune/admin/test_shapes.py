"""Tables of existing applications: columns with other names, and values of unusual types."""

from datetime import timedelta
from enum import Enum, IntFlag
from uuid import UUID

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import Column, Computed, Integer, LargeBinary, MetaData, String, select
from sqlmodel import Field, SQLModel, col

from opportune.admin import AdminView
from opportune.crud import Crud, CrudApi, Permission
from opportune.db import Model
from opportune.feature import Admin, Feature
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, read_all, read_one

UNIT = UUID("12345678-1234-5678-1234-567812345678")


class Table(SQLModel):
    metadata = MetaData()


class Member(Table, table=True):
    __tablename__ = "test_member"

    number: int | None = Field(default=None, sa_column=Column("Member No", Integer, primary_key=True))
    first_name: str = Field(sa_column=Column("First Name", String, nullable=False))

    def __str__(self) -> str:
        return self.first_name


class Mode(IntFlag):
    READ = 1
    WRITE = 2


class Gauge(Table, table=True):
    __tablename__ = "test_gauge"

    id: int | None = Field(default=None, primary_key=True)
    unit: UUID | None = None
    mode: Mode = Field(default=Mode.READ, sa_column=Column(Integer, nullable=False))
    shift: timedelta = timedelta()
    seal: bytes = Field(default=b"", sa_column=Column(LargeBinary, nullable=False))
    width: int = 1
    area: int | None = Field(default=None, sa_column=Column(Integer, Computed("width * width", persisted=True)))


class Glaze(Enum):
    MATT = "matt"
    GLOSSY = "glossy"


class Tile(Model, table=True):
    metadata = MetaData()
    __tablename__ = "test_tile"

    width: int
    seal: bytes = Field(default=b"", sa_column=Column(LargeBinary, nullable=False))
    glaze: Glaze = Glaze.MATT
    mode: Mode = Field(default=Mode.READ, sa_column=Column(Integer, nullable=False))
    area: int | None = Field(default=None, sa_column=Column(Integer, Computed("width * width", persisted=True)))


class Tiles(Crud[Tile]):
    read_permission = Permission.ANYONE
    sort = ("glaze", "width")
    filters = ("mode",)


class MemberAdmin(AdminView, model=Member):
    can_export = True


class GaugeAdmin(AdminView, model=Gauge):
    filters = ("unit", "area")
    can_export = True
    save_as = True


MODELS = (Member, Gauge, Tile)
admin_views = Admin((MemberAdmin, GaugeAdmin))
tiles = CrudApi(Tiles, "/tiles").router
app = site_fixture(Feature("shapes", models=MODELS, admin=admin_views, api=(tiles,)))


@pytest.mark.database("sqlite", "postgresql")
async def test_row_whose_key_has_another_name_is_edited(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Member(number=7, first_name="Ann"))
    assert (await admin.post("/admin/member/edit/7", data={"first_name": "Bea", "save": "Save"})).status_code == 303
    assert "Bea" in (await admin.get("/admin/member/details/7")).text


@pytest.mark.database("sqlite", "postgresql")
async def test_form_lacks_computed_columns(app: FastAPI, admin: AsyncClient) -> None:
    assert 'name="area"' not in (await admin.get("/admin/gauge/create")).text
    assert (await admin.post("/admin/gauge/create", data={"mode": "1", "width": "3"})).status_code == 303
    assert (await read_one(app, Gauge)).area == 9


@pytest.mark.database("sqlite", "postgresql")
async def test_uuid_is_filtered_by_its_text(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Gauge(unit=UNIT))
    for text, contains, equals in ((str(UNIT), True, True), ("1234-5678", True, False), ("none", False, False)):
        for operation, is_found in (("contains", contains), ("equals", equals)):
            page = await admin.get(f"/admin/gauge/list?unit={text}&unit_op={operation}")
            assert ("/admin/gauge/details/1" in page.text) is is_found, (text, operation)


async def test_flags_of_a_form_are_combined(app: FastAPI, admin: AsyncClient) -> None:
    assert "Read, write" in (await admin.get("/admin/gauge/create")).text
    for mode in (0, 2, 3):
        form = {"mode": str(mode), "width": "1"}
        assert (await admin.post("/admin/gauge/create", data=form)).status_code == 303, mode
    assert await read_all(app, select(col(Gauge.mode)).order_by(col(Gauge.id))) == [0, 2, 3]


async def test_flags_of_an_api_are_combined(admin: AsyncClient) -> None:
    for mode in (0, 3):
        response = await admin.post("/api/v1/tiles", json={"width": 1, "mode": mode})
        assert (response.status_code, response.json()["mode"]) == (201, mode)
        assert (await admin.get(f"/api/v1/tiles?mode={mode}")).json()["total"] == 1, mode
    for invalid in (4, -1, "a", "9" * 5000):
        response = await admin.post("/api/v1/tiles", json={"width": 1, "mode": invalid})
        assert response.status_code == 422, invalid
        if invalid == 4:
            assert "Choose a combination of Read, Write." in response.text


async def test_bytes_have_no_input_and_stay(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Gauge(seal=b"\xff\0"))
    assert 'name="seal"' not in (await admin.get("/admin/gauge/edit/1")).text
    assert (await admin.post("/admin/gauge/edit/1", data={"mode": "1", "width": "2"})).status_code == 303
    assert (await read_one(app, Gauge)).seal == b"\xff\0"
