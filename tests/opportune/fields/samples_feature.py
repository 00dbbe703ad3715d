"""Samples: a model with a field of every type, its pages and its API, and an admin view without options."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from sqlmodel import Field

from opportune import fields
from opportune.admin import AdminView
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.feature import Admin, Feature
from tests.opportune.tables import Titled, UnmigratedTable


class Status(StrEnum):
    DRAFT = "draft"
    FOR_SALE = "for_sale"


class Sample(Titled, UnmigratedTable, table=True):
    title: fields.Line = Field(max_length=200, title="Its name", description="As it is on the cover.")
    slug: fields.Slug = fields.slug_field("title", max_length=30)
    status: Status = Status.DRAFT
    size: Literal["small", "large"] = "small"
    price: fields.Money = fields.money_field("EUR", Decimal("1.00"), ge=0)
    discount: fields.Money | None = None
    email: fields.Email | None = None
    home: fields.Url = ""
    phone: fields.Phone = ""
    country: fields.Country = ""
    origin: fields.Country | None = None
    keywords: fields.TextList = Field(default_factory=list)
    facts: fields.Json = Field(default_factory=dict)
    about: fields.Markdown = ""
    cover: fields.Image = fields.image_field("covers", {"thumb": 20}, default="")
    contract: fields.File = fields.file_field("contracts", max_length=90, default="")
    starts_at: datetime | None = None


class Follower(UnmigratedTable, table=True):
    name: fields.Line = Field(max_length=50)
    slug: fields.Slug = fields.slug_field("name", follows=True, keeps_old="old_slugs")
    old_slugs: fields.TextList = Field(default_factory=list)


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
