"""Wares with fields such as `cost` that are hidden from users without the permission `cost`."""

from collections.abc import Collection, Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement
from sqlmodel import Field, Relationship, SQLModel, col

from opportune.admin import AdminView, Inline
from opportune.crud import Crud, CrudApi, CrudPages, Permission, filter_by
from opportune.feature import Admin, Feature
from opportune.schemas.text import Line
from tests.opportune.tables import Named, UnmigratedTable


class Vendor(Named, UnmigratedTable, table=True):
    __tablename__ = "shop_vendor"

    region: Line = Field(max_length=50)
    name: Line = Field(max_length=100)


class Mark(UnmigratedTable, table=True):
    __tablename__ = "shop_mark"

    name: Line = Field(max_length=50)


class WareMark(SQLModel, table=True):
    __tablename__ = "shop_ware_mark"
    metadata = UnmigratedTable.metadata

    ware_id: int = Field(foreign_key="shop_ware.id", primary_key=True, ondelete="CASCADE")
    mark_id: int = Field(foreign_key="shop_mark.id", primary_key=True, ondelete="CASCADE")


class Ware(Named, UnmigratedTable, table=True):
    __tablename__ = "shop_ware"
    search_index = ("name", "note")

    name: Line = Field(max_length=100, unique=True)
    cost: Decimal = Field(default=Decimal(0), max_digits=10, decimal_places=2)
    price: Decimal = Field(default=Decimal(0), max_digits=10, decimal_places=2)
    note: Line = Field(default="", max_length=100)
    status: Line = Field(default="new", max_length=20)
    vendor_id: int | None = Field(default=None, foreign_key="shop_vendor.id")
    buyer_id: int | None = Field(default=None, foreign_key="shop_vendor.id")

    vendor: Vendor | None = Relationship()
    buyer: Vendor | None = Relationship()
    marks: list[Mark] = Relationship(link_model=WareMark)

    @property
    def margin(self) -> Decimal:
        return self.price - self.cost


class Vendors(Crud[Vendor]):
    default = True
    read_permission = write_permission = Permission.ANYONE
    search = ("name",)

    def hidden_fields(self) -> Collection[str]:
        return () if self.may("cost") else {"region"}


class Wares(Crud[Ware]):
    default = True
    read_permission = Permission.ANYONE
    write_permission = Permission.SIGNED_IN
    search = ("name", "note", "vendor.region")
    filters = ("name", "cost", "vendor", "buyer", "marks")
    sort = ("name", "cost", "profit", "vendor.region")
    order = ("-cost",)
    nested = ("vendor",)
    annotations = {"profit": col(Ware.price) - col(Ware.cost)}

    def hidden_fields(self) -> Collection[str]:
        return () if self.may("cost") else {"cost", "note", "buyer", "marks", "cheap"}

    def readonly_fields(self) -> Collection[str]:
        return () if self.may("cost") else {"status"}

    @filter_by
    def cheap(self, cheap: bool) -> ColumnElement[bool]:
        return (col(Ware.cost) < 5) == cheap


class WareAdmin(AdminView, model=Ware):
    crud = Wares
    can_import = True
    columns = ("name", "cost", "price", "status", "vendor.region", "buyer", "margin")
    search = ("name", "note")
    filters = ("cost", "status", "marks")
    order = ("-cost",)
    _logged_fields = ("note",)


class VendorAdmin(AdminView, model=Vendor):
    crud = Vendors
    inlines = (Inline(Ware, "vendor_id", ("name", "cost", "status")),)


shop = Feature(
    "shop",
    models=[Vendor, Mark, Ware],
    api=[CrudApi(Vendors, "/vendors").router, CrudApi(Wares, "/wares").router],
    pages=[CrudPages(Vendors, "/vendors").router, CrudPages(Wares, "/wares").router],
    admin=Admin([WareAdmin, VendorAdmin]),
)


def make_wares() -> Sequence[SQLModel]:
    """Return two vendors, a lamp with values in all fields, and a cheaper mug."""
    vendors = Vendor(name="Acme", region="Atlantis"), Vendor(name="Zed", region="Utopia")
    lamp = Ware(name="Lamp", cost=Decimal(7), price=Decimal(9), note="Haggle", vendor_id=1, buyer_id=2)
    lamp.marks = [Mark(name="Top")]
    return *vendors, lamp, Ware(name="Mug", cost=Decimal(3), price=Decimal(4))
