"""Tables of a shop: goods stay in the trash when they are deleted."""

from sqlmodel import Field, Relationship

from opportune.db import ModelBase, SoftDelete
from opportune.fields import Slug, slug_field
from tests.opportune.tables import UnmigratedTable


class ShopLink(ModelBase):
    metadata = UnmigratedTable.metadata


class Vendor(UnmigratedTable, SoftDelete, table=True):
    __tablename__ = "test_trash_vendor"

    name: str = Field(max_length=50, unique=True)
    goods: list["Good"] = Relationship(back_populates="vendor")


class GoodLabel(ShopLink, table=True):
    __tablename__ = "test_trash_good_label"

    good_id: int = Field(foreign_key="test_trash_good.id", primary_key=True, ondelete="CASCADE")
    label_id: int = Field(foreign_key="test_trash_label.id", primary_key=True, ondelete="CASCADE")


class ShopLabel(UnmigratedTable, SoftDelete, table=True):
    __tablename__ = "test_trash_label"

    name: str = Field(max_length=50)


class Good(UnmigratedTable, SoftDelete, table=True):
    __tablename__ = "test_trash_good"

    name: str = Field(max_length=50)
    slug: Slug = slug_field("name")
    vendor_id: int | None = Field(default=None, foreign_key="test_trash_vendor.id")
    vendor: Vendor | None = Relationship(back_populates="goods")
    labels: list["ShopLabel"] = Relationship(link_model=GoodLabel)
    set_id: int | None = Field(default=None, foreign_key="test_trash_good.id")
    set_members: list["Good"] = Relationship()


class Part(UnmigratedTable, table=True):
    __tablename__ = "test_trash_part"

    good_id: int = Field(foreign_key="test_trash_good.id", ondelete="CASCADE")
