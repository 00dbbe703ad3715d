"""Relationships are loaded for hooks, actions and pages."""

from collections.abc import AsyncIterator
from itertools import product

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


@pytest.mark.parametrize(
    ("path", "data", "calls"),
    [
        ("action/ring", {"pks": "1", "confirmed": "yes"}, ["ring: Ann Rome new"]),
        ("create", {"doctor_id": "2"}, ["before save: Bob Oslo", "after save: Bob Oslo"]),
        ("edit/1", {"doctor_id": "2"}, ["before save: Bob Oslo new", "after save: Bob Oslo new"]),
        ("delete?pks=1", {"confirmed": "yes"}, ["before delete: Ann Rome new"]),
    ],
)
async def test_actions_and_hooks_read_relationships(
    admin: AsyncClient, hook_calls: list[str], path: str, data: dict[str, str], calls: list[str]
) -> None:
    assert (await admin.post(f"/admin/visit/{path}", data=data)).status_code == 303
    assert hook_calls == calls


@pytest.mark.usefixtures("hook_calls")
async def test_titles_read_loaded_relationships(admin: AsyncClient) -> None:
    for model, page in product(("doctor", "visit"), ("list", "details/1", "edit/1")):
        assert (await admin.get(f"/admin/{model}/{page}")).status_code == 200, (model, page)


@pytest.mark.usefixtures("hook_calls")
async def test_error_names_the_relationship_to_load(admin: AsyncClient) -> None:
    url, json = "/admin/doctor/action/count?pks=1", {"Accept": "application/json"}
    response = await admin.post(url, data={"confirmed": "yes"}, headers=json)
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
