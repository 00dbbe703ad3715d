"""Titles of rows, on their pages and in the column of a list that links to these pages."""

from enum import StrEnum

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


async def test_detail_shows_the_fields_of_the_title(client: AsyncClient, make: Make) -> None:
    visit = await make(Checkup, room="Ward 3", state=State.DONE)

    text = (await client.get(f"/visits/{visit.id}")).text

    assert "Visit to Ward 3</h1>" in text
    assert '<dd class="col-sm-9 text-break">Ward 3</dd>' in text
    assert '<dd class="col-sm-9 text-break">Done</dd>' in text


async def test_detail_omits_the_field_that_is_the_title(client: AsyncClient, make: Make) -> None:
    visit = await make(Checkup, room="Lab")

    text = (await client.get(f"/visits/{visit.id}")).text

    assert "Lab</h1>" in text
    assert '<dd class="col-sm-9 text-break">Lab</dd>' not in text


async def test_enum_is_not_the_title_of_a_row(client: AsyncClient, make: Make) -> None:
    slot = await make(Slot, state=State.DONE)

    text = (await client.get(f"/slots/{slot.id}")).text

    assert f"Slot {slot.id}</h1>" in text
    assert '<dd class="col-sm-9 text-break">Done</dd>' in text


async def test_list_links_its_first_column(client: AsyncClient, make: Make) -> None:
    slot = await make(Slot)

    assert f'<a href="/slots/{slot.id}">Booked</a>' in (await client.get("/slots")).text


async def test_empty_first_cell_links_the_id(client: AsyncClient, make: Make) -> None:
    visit = await make(Checkup)

    assert f'<a href="/visits/{visit.id}">#{visit.id}</a>' in (await client.get("/visits")).text


def test_columns_with_files_and_links_are_not_linked() -> None:
    columns = list_columns(Doctors, (), {})

    assert [column.name for column in columns if column.links_to_row] == ["level"]
