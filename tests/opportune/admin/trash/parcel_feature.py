"""Parcels, which stay in the trash when they are deleted, and their stamps."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field
from starlette.requests import Request

from opportune.admin import AdminView, FileColumn, ValidationRefused
from opportune.db import SoftDelete, utc_now
from opportune.feature import Admin, Feature
from tests.opportune.tables import UnmigratedTable


class Parcel(UnmigratedTable, SoftDelete, table=True):
    code: str = Field(max_length=50, unique=True)
    label: str = Field(default="", max_length=100)
    box_id: int | None = Field(default=None, foreign_key="test_parcel.id")

    def __str__(self) -> str:
        return self.code


class Stamp(UnmigratedTable, table=True):
    parcel_id: int = Field(foreign_key="test_parcel.id", ondelete="CASCADE")
    price: int = 1


class Receipt(UnmigratedTable, table=True):
    parcel_id: int = Field(foreign_key="test_parcel.id")


class ParcelAdmin(AdminView, model=Parcel):
    file_columns = {"label": FileColumn("labels")}

    async def before_delete(self, session: AsyncSession, row: Parcel, request: Request) -> None:
        if row.code == "Locked":
            raise ValidationRefused("This parcel is locked.")


class StampAdmin(AdminView, model=Stamp): ...


parcels = Feature("parcels", models=(Parcel, Stamp, Receipt), admin=Admin((ParcelAdmin, StampAdmin)))


def make_parcels() -> Sequence[UnmigratedTable]:
    """Return a parcel, and a deleted parcel that has a stamp."""
    return Parcel(code="Here"), Parcel(code="Gone", label="a.pdf", deleted_at=utc_now()), Stamp(parcel_id=2)
