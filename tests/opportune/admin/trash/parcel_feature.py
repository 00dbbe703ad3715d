"""Parcels, which stay in the trash when they are deleted, and their stamps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field
from starlette.requests import Request

from opportune.admin import AdminView, ValidationRefused
from opportune.config.settings import Settings
from opportune.db import SoftDelete
from opportune.feature import Admin, Feature
from opportune.fields import FileColumn
from tests.opportune.admin.gadget_feature import Table
from tests.opportune.site_with import site_with

LOCKED = "Locked"


class Parcel(Table, SoftDelete, table=True):
    __tablename__ = "test_parcel"

    code: str = Field(max_length=50, unique=True)
    label: str = Field(default="", max_length=100)

    def __str__(self) -> str:
        return self.code


class Stamp(Table, table=True):
    __tablename__ = "test_stamp"

    parcel_id: int = Field(foreign_key="test_parcel.id", ondelete="CASCADE")
    price: int = 1


class Receipt(Table, table=True):
    __tablename__ = "test_receipt"

    parcel_id: int = Field(foreign_key="test_parcel.id")


class ParcelAdmin(AdminView, model=Parcel):
    file_columns = {"label": FileColumn("labels")}

    async def before_delete(self, session: AsyncSession, row: Parcel, request: Request) -> None:
        if row.code == LOCKED:
            raise ValidationRefused("This parcel is locked.")


class StampAdmin(AdminView, model=Stamp):
    pass


parcels = Feature(
    "parcels",
    "For tests.",
    models=(Parcel, Stamp, Receipt),
    admin=Admin((ParcelAdmin, StampAdmin)),
)


@asynccontextmanager
async def parcel_site(settings: Settings) -> AsyncIterator[FastAPI]:
    """Yield a site with a parcel, and with a deleted parcel that has a stamp."""
    async with site_with(parcels, Table.metadata, settings) as app:
        async with app.state.database.writer() as session:
            parcel = Parcel(code="Gone", label="a.pdf")
            session.add_all([Parcel(code="Here"), parcel])
            await session.flush()
            session.add(Stamp(parcel_id=parcel.id))
            await session.delete(parcel)
        yield app
