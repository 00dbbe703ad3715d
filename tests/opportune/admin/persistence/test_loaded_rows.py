"""Relationships are loaded for hooks, actions and pages."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqladmin import action
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, Relationship
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.options import option_faults
from opportune.admin.views import AdminView
from opportune.config.settings import Settings
from opportune.db import Model, ModelBase
from opportune.db.models.model import NAMING_CONVENTION
from opportune.feature import Admin, Feature
from opportune.testing import Make, make_user, sign_in
from tests.opportune.site_with import site_with


class ClinicTable(Model):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class City(ClinicTable, table=True):
    __tablename__ = "ward_city"

    name: str = Field(max_length=50)


class Doctor(ClinicTable, table=True):
    __tablename__ = "ward_doctor"

    name: str = Field(max_length=50)
    city_id: int = Field(foreign_key="ward_city.id")
    city: City = Relationship()
    visits: list["Visit"] = Relationship(back_populates="doctor")

    def __str__(self) -> str:
        return f"{self.name} of {self.city.name}"


class VisitWardLabel(ModelBase, table=True):
    __tablename__ = "ward_visit_label"
    metadata = ClinicTable.metadata

    visit_id: int = Field(foreign_key="ward_visit.id", primary_key=True)
    label_id: int = Field(foreign_key="ward_label.id", primary_key=True)


class WardLabel(ClinicTable, table=True):
    __tablename__ = "ward_label"

    name: str = Field(max_length=50)


class Visit(ClinicTable, table=True):
    __tablename__ = "ward_visit"

    doctor_id: int = Field(foreign_key="ward_doctor.id")
    doctor: Doctor = Relationship(back_populates="visits")
    labels: list[WardLabel] = Relationship(link_model=VisitWardLabel)


class CityAdmin(AdminView, model=City):
    pass


class DoctorAdmin(AdminView, model=Doctor):
    load = ("city",)
    columns = ("name", "city_id")

    @action("count", "Count")
    async def count_visits(self, request: Request) -> Response:
        async def count(_session: AsyncSession, doctor: Doctor) -> None:
            doctor.name = f"{len(doctor.visits)} visits"

        return await self.apply_to_selected(request, "count", count, "counted")


class VisitAdmin(AdminView, model=Visit):
    load = ("doctor.city",)
    hook_calls: list[str]

    def record(self, event: str, visit: Visit) -> None:
        labels = ",".join(label.name for label in visit.labels)
        type(self).hook_calls.append(f"{event} {visit.doctor.name} {visit.doctor.city.name} {labels}".strip())

    async def before_save(self, session: AsyncSession, row: Visit, request: Request, *, is_created: bool) -> None:
        self.record("before save:", row)

    async def after_save(self, session: AsyncSession, row: Visit, request: Request, *, is_created: bool) -> None:
        self.record("after save:", row)

    async def before_delete(self, session: AsyncSession, row: Visit, request: Request) -> None:
        self.record("before delete:", row)

    @action("ring", "Ring")
    async def ring(self, request: Request) -> Response:
        async def ring(_session: AsyncSession, visit: Visit) -> None:
            self.record("ring:", visit)

        return await self.apply_to_selected(request, "ring", ring, "rung")


ward = Feature(
    "ward",
    "Visits.",
    models=(City, Doctor, VisitWardLabel, WardLabel, Visit),
    admin=Admin((CityAdmin, DoctorAdmin, VisitAdmin)),
)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    development = settings.model_copy(update={"environment": "development"})
    async with site_with(ward, ClinicTable.metadata, development) as app:
        yield app


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        await sign_in(client, app, await make_user(app.state.database, is_superuser=True))
        yield client


@pytest.fixture
async def hook_calls(app: FastAPI, make: Make) -> list[str]:
    """Add two doctors in two cities and a visit to the first. Return the list that hooks and actions append to."""
    assert app.state.database  # creates the tables
    for name, city in (("Ann", "Rome"), ("Bob", "Oslo")):
        await make(Doctor, name=name, city=await make(City, name=city))
    await make(Visit, doctor_id=1, labels=[await make(WardLabel, name="new")])
    VisitAdmin.hook_calls = []
    return VisitAdmin.hook_calls


async def test_action_reads_relationships(admin: AsyncClient, hook_calls: list[str]) -> None:
    response = await admin.post("/admin/visit/action/ring", data={"pks": "1", "confirmed": "yes"})

    assert response.status_code == 303
    assert hook_calls == ["ring: Ann Rome new"]


@pytest.mark.parametrize(("form", "row"), [("create", "Bob Oslo"), ("edit/1", "Bob Oslo new")])
async def test_hooks_of_a_form_read_relationships(
    admin: AsyncClient, hook_calls: list[str], form: str, row: str
) -> None:
    response = await admin.post(f"/admin/visit/{form}", data={"doctor_id": "2", "save": "Save"})

    assert response.status_code == 303
    assert hook_calls == [f"before save: {row}", f"after save: {row}"]


async def test_hooks_of_a_deletion_read_relationships(admin: AsyncClient, hook_calls: list[str]) -> None:
    response = await admin.post("/admin/visit/delete?pks=1", data={"confirmed": "yes"})

    assert response.status_code == 303
    assert hook_calls == ["before delete: Ann Rome new"]


@pytest.mark.usefixtures("hook_calls")
@pytest.mark.parametrize("model", ["doctor", "visit"])
@pytest.mark.parametrize("page", ["list", "details/1", "edit/1"])
async def test_titles_read_loaded_relationships(admin: AsyncClient, model: str, page: str) -> None:
    response = await admin.get(f"/admin/{model}/{page}")

    assert response.status_code == 200


@pytest.mark.usefixtures("hook_calls")
async def test_error_names_the_relationship_to_load(admin: AsyncClient) -> None:
    response = await admin.post(
        "/admin/doctor/action/count", data={"pks": "1", "confirmed": "yes"}, headers={"Accept": "application/json"}
    )

    assert response.status_code == 500
    assert "class DoctorAdmin(AdminView, …):\n    load = ('city', 'visits')" in response.json()["detail"]


def test_load_names_relationships() -> None:
    class Wrong(AdminView):
        model = Doctor
        load = ("city", "visits.labels", "name", "town")

    assert list(option_faults(Wrong, AdminView)) == [
        "Wrong.load: 'name' is a column. Name relationships.",
        "Wrong.load: Doctor has no 'town'. There are: city, city_id, id, name, visits.",
    ]
