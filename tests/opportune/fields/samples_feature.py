"""Samples: a model with a field of every type, its pages and its API, and an admin view without options."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from sqlmodel import Field

from opportune.admin import AdminView
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.feature import Admin, Feature
from opportune.fields import (
    Country,
    Email,
    File,
    Image,
    Json,
    Line,
    Markdown,
    Money,
    Phone,
    Slug,
    TextList,
    Url,
    file_field,
    image_field,
    money_field,
    slug_field,
)
from tests.opportune.tables import UnmigratedTable


class Status(StrEnum):
    DRAFT = "draft"
    FOR_SALE = "for_sale"


class Sample(UnmigratedTable, table=True):
    __tablename__ = "test_sample"

    title: Line = Field(max_length=200, title="Its name", description="As it is on the cover.")
    slug: Slug = slug_field("title", max_length=30)
    status: Status = Status.DRAFT
    size: Literal["small", "large"] = "small"
    price: Money = money_field("EUR", Decimal("1.00"), ge=0)
    discount: Money | None = None
    email: Email | None = None
    home: Url = ""
    phone: Phone = ""
    country: Country = ""
    origin: Country | None = None
    keywords: TextList = Field(default_factory=list)
    facts: Json = Field(default_factory=dict)
    about: Markdown = ""
    cover: Image = image_field("covers", {"thumb": 20}, default="")
    contract: File = file_field("contracts", max_length=90, default="")
    starts_at: datetime | None = None

    def __str__(self) -> str:
        return self.title


class Follower(UnmigratedTable, table=True):
    __tablename__ = "test_follower"

    name: Line = Field(max_length=50)
    slug: Slug = slug_field("name", follows=True, keeps_old="old_slugs")
    old_slugs: TextList = Field(default_factory=list)


class SampleAdmin(AdminView, model=Sample):
    can_import = True


class FollowerAdmin(AdminView, model=Follower): ...


class Samples(Crud[Sample]):
    read_permission = write_permission = Permission.ANYONE


samples = Feature(
    "samples",
    models=(Sample, Follower),
    pages=CrudPages(Samples, "/samples").router,
    api=CrudApi(Samples, "/samples").router,
    admin=Admin((SampleAdmin, FollowerAdmin)),
)
FORM_TEXTS = (
    {"title": "One Book", "status": "for_sale", "size": "large", "price": "12.50", "country": "AT"}
    | {"email": "Ada@Example.com", "home": "https://x.at/", "phone": "+43 1 711 000"}
    | {"keywords": "one\r\n\r\ntwo", "facts": '{"a": 1}', "about": "*hello*"}
)
"""Values that a form of a sample sends."""
