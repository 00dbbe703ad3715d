"""Titles of rows, on their pages and in the column of a list that links to these pages."""

import re
from enum import StrEnum
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import MetaData
from sqlmodel import Field

from opportune.crud import Crud, CrudPages, Permission
from opportune.crud.columns import list_columns
from opportune.db import Model
from opportune.db.models.model import NAMING_CONVENTION
from opportune.feature import Feature
from opportune.fields import Image, Url, image_field
from opportune.testing import Make
from tests.opportune.site_with import site_fixture


class ClinicTable(Model):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class State(StrEnum):
    BOOKED = "booked"
    DONE = "done"


class Checkup(ClinicTable, table=True):
    __tablename__ = "clinic_visit"

    state: State = State.BOOKED
    room: str = Field(default="", max_length=20)

    def __str__(self) -> str:
        return f"Visit to {self.room}" if self.room != "Lab" else self.room


class Slot(ClinicTable, table=True):
    """A model without a text column for its title."""

    __tablename__ = "clinic_slot"

    state: State = State.BOOKED


class Dentist(ClinicTable, table=True):
    __tablename__ = "clinic_doctor"

    portrait: Image = image_field("portraits", {"thumb": 20}, default="")
    website: Url = Field(default="", max_length=100)
    level: int = 1
    name: str = Field(default="", max_length=20)


class Visits(Crud[Checkup]):
    read_permission = Permission.ANYONE


class Slots(Crud[Slot]):
    read_permission = Permission.ANYONE


class Doctors(Crud[Dentist]):
    read_permission = Permission.ANYONE


clinic = Feature(
    "clinic",
    "Visits.",
    pages=[
        CrudPages(Visits, "/visits", columns=("room", "state")).router,
        CrudPages(Slots, "/slots").router,
        CrudPages(Doctors, "/doctors").router,
    ],
)


app = site_fixture(clinic, ClinicTable.metadata)


@pytest.mark.parametrize(
    ("model", "values", "title", "shown_values"),
    [
        (Checkup, {"room": "Ward 3", "state": State.DONE}, "Visit to Ward 3", ["Done", "Ward 3"]),
        pytest.param(Checkup, {"room": "Lab"}, "Lab", ["Booked"], id="field that is the title"),
        pytest.param(Slot, {"state": State.DONE}, "Slot 1", ["Done"], id="model with an enum only"),
    ],
)
async def test_detail_repeats_no_title(
    client: AsyncClient, make: Make, model: type[Any], values: dict[str, Any], title: str, shown_values: list[str]
) -> None:
    row = await make(model, **values)
    page = (await client.get(f"/{'slots' if model is Slot else 'visits'}/{row.id}")).text
    assert f"{title}</h1>" in page
    assert re.findall(r'<dd class="col-sm-9 text-break">([^<]+)</dd>', page) == shown_values


async def test_list_links_its_first_column_or_the_id(client: AsyncClient, make: Make) -> None:
    slot, visit_without_room = await make(Slot), await make(Checkup)
    assert f'<a href="/slots/{slot.id}">Booked</a>' in (await client.get("/slots")).text
    link = f'<a href="/visits/{visit_without_room.id}">#{visit_without_room.id}</a>'
    assert link in (await client.get("/visits")).text


def test_columns_with_files_and_links_are_not_linked() -> None:
    columns = list_columns(Doctors, (), {})

    assert [column.name for column in columns if column.links_to_row] == ["level"]
