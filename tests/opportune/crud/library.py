"""Models and data layers of a library: volumes with writers, topics, opinions and notes."""

from collections.abc import Sequence
from datetime import MAXYEAR, UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fastapi import FastAPI
from sqlalchemy import CheckConstraint, Column, ColumnElement, ForeignKey, UniqueConstraint, extract, func, select, true
from sqlmodel import Field, Relationship, SQLModel, col

from opportune.accounts import User
from opportune.crud import Crud, Permission, filter_by
from opportune.db import BigId, utc_now
from opportune.schemas.text import Line, Text
from tests.opportune.stored_rows import read_all
from tests.opportune.tables import Named, UnmigratedTable


def user_key() -> Any:
    """Return a foreign key to the users, whose table is in the project's metadata."""
    return Column(BigId, ForeignKey(User.__table__.c.id, ondelete="CASCADE"), nullable=False, index=True)  # type: ignore[attr-defined]  # a table


class BookStatus(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"


class Writer(Named, UnmigratedTable, table=True):
    __tablename__ = "library_writer"

    name: Line = Field(max_length=100, unique=True)
    api_key: str = Field(default="", max_length=40)
    is_hidden: bool = False


class Topic(UnmigratedTable, table=True):
    __tablename__ = "library_topic"

    name: Line = Field(max_length=50, unique=True)
    is_hidden: bool = False


class VolumeTopic(SQLModel, table=True):
    __tablename__ = "library_volume_topic"
    metadata = UnmigratedTable.metadata

    volume_id: int = Field(foreign_key="library_volume.id", primary_key=True, ondelete="CASCADE")
    topic_id: int = Field(foreign_key="library_topic.id", primary_key=True, ondelete="CASCADE")


class Volume(UnmigratedTable, table=True):
    __tablename__ = "library_volume"
    __table_args__ = (CheckConstraint("pages > 0", name="pages"),)

    title: Line = Field(min_length=1, max_length=200)
    slug: Line = Field(max_length=80, unique=True)
    writer_id: int = Field(foreign_key="library_writer.id", index=True)
    editor_id: int | None = Field(default=None, foreign_key="library_writer.id")
    price: Decimal = Field(default=Decimal(0), max_digits=10, decimal_places=2, ge=0)
    pages: int = 1
    weight: float | None = None
    published_on: date | None = Field(default=None, title="Published", description="The first edition.")
    printed_at: datetime | None = None
    status: BookStatus = BookStatus.DRAFT
    blurb: Text = ""
    is_staff: bool = False
    secret_note: str = Field(default="", max_length=100)
    created_at: datetime = Field(default_factory=utc_now)

    writer: Writer = Relationship()
    editor: Writer | None = Relationship()
    topics: list[Topic] = Relationship(link_model=VolumeTopic)


class Opinion(UnmigratedTable, table=True):
    __tablename__ = "library_opinion"
    __table_args__ = (UniqueConstraint("volume_id", "user_id"),)

    volume_id: int = Field(foreign_key="library_volume.id", index=True, ondelete="CASCADE")
    user_id: int = Field(sa_column=user_key())
    stars: int = Field(ge=1, le=5)
    words: Text = ""


class Note(UnmigratedTable, table=True):
    """A private row."""

    __tablename__ = "library_note"
    keeps_history = True

    owner_id: int = Field(sa_column=user_key())
    text: Line = Field(max_length=100)
    parent_id: int | None = Field(default=None, foreign_key="library_note.id")


class Writers(Crud[Writer]):
    read_permission = Permission.ANYONE
    order = ("name",)

    def readable(self) -> ColumnElement[bool]:
        return true() if self.may("update") else col(Writer.is_hidden).is_(False)


class Topics(Crud[Topic]):
    default = True
    read_permission = Permission.ANYONE

    def readable(self) -> ColumnElement[bool]:
        return col(Topic.is_hidden).is_(False)


class Volumes(Crud[Volume]):
    default = True
    lookup = "slug"
    search = ("title", "writer.name")
    filters = (
        *("topics", "writer", "editor", "status", "title"),
        *("price", "pages", "weight", "published_on", "printed_at"),
    )
    sort = ("title", "price", "published_on", "rating", "writer.name")
    order = ("-published_on",)
    read_permission = Permission.ANYONE
    annotations = {"rating": select(func.avg(col(Opinion.stars))).where(col(Opinion.volume_id) == col(Volume.id))}

    def readable(self) -> ColumnElement[bool]:
        return true() if self.may("update") else col(Volume.status) == BookStatus.PUBLISHED

    @filter_by
    def year(self, year: int) -> ColumnElement[bool]:
        if year > MAXYEAR:
            raise ValueError("There is no such year.")
        return extract("year", col(Volume.published_on)) == year


class Opinions(Crud[Opinion]):
    owner_column = "user_id"
    read_permission = Permission.ANYONE
    filters = ("volume_id", "stars")


class Notes(Crud[Note]):
    default = True
    owner_column = "owner_id"
    search = ("text",)


TABLES: Sequence[type[SQLModel]] = (Writer, Topic, Volume, VolumeTopic, Opinion, Note)
PRINTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
HTMX = {"HX-Request-Type": "partial"}
VOLUME_FORM = {"title": "Persuasion", "slug": "persuasion", "writer_id": "1", "price": "8", "pages": "99"}


def volume(**fields: Any) -> Volume:
    return Volume(**{"writer_id": 1, "status": BookStatus.PUBLISHED, **fields})


async def read_volume(app: FastAPI, slug: str) -> Volume | None:
    return next(iter(await read_all(app, select(Volume).where(col(Volume.slug) == slug))), None)
