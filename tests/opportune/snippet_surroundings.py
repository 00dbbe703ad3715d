"""Names of a project that snippets of the guides use and do not define. Only mypy reads this module."""
# ruff: noqa: F401 - snippets use these imports

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Optional

import sqlalchemy as sa
from alembic import op
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, SecretStr
from sqlalchemy import CheckConstraint, ColumnElement, UniqueConstraint, extract, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, Relationship, col

from opportune.accounts import User
from opportune.admin import AdminView
from opportune.config import BaseSettings, Settings
from opportune.contrib.teams import TeamOwned
from opportune.crud import Crud
from opportune.db import Model, ModelBase, ReadSession, RowId, WriteSession, after_create, load, utc_now
from opportune.db.migrations.batches import in_batches
from opportune.db.migrations.conversion import convert_column
from opportune.errors import FieldErrors, NotFound
from opportune.feature import Feature
from opportune.fields import Image, Line, image_field
from opportune.jobs import JobContext, defer, job
from opportune.pagination import Page, Paging
from opportune.testing import Make, call_command
from tests.opportune.heroes.main import SessionDep, app, engine
from tests.opportune.heroes.models import Hero

target_metadata = sa.MetaData()
home = users = Feature("home", "The landing page.")


class Status(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Country(Model, table=True):
    name: str


class Author(Model, table=True):
    name: str
    country_id: int
    country: Country = Relationship()


class BookGenre(ModelBase, table=True):
    book_id: int = Field(primary_key=True)
    genre_id: int = Field(primary_key=True)


class Loan(Model, table=True):
    user_id: int


class Post(Model, table=True):
    author_id: int


class Genre(Model, table=True):
    name: str


class Book(Model, table=True):
    title: str
    slug: str
    summary: str
    description: str
    status: Status
    price: Decimal
    published_on: date
    lent_at: datetime | None = None
    created_at: datetime
    owner_id: int
    author_id: int
    cover: Image = image_field("covers")
    owner: User = Relationship()
    author: Author = Relationship()
    reviews: list["Review"] = Relationship()


class Review(Model, table=True):
    book_id: int
    stars: int


class Member(Model, table=True):
    user_id: int


class Invoice(Model, table=True):
    member_id: int
    member: Member = Relationship()


class Project(TeamOwned, table=True):
    name: str


class BookFilter(Paging):
    q: str = ""


class BooksSettings(BaseSettings):
    nightly_ping: str = ""


async def find_book(session: WriteSession, book_id: RowId) -> Book:
    return await session.get_one(Book, book_id)


CurrentBook = Annotated[Book, Depends(find_book)]


@job("books.index")
async def index_book(run: JobContext, book_id: int) -> None: ...


async def list_books(session: AsyncSession) -> list[str]:
    """List the titles of all books."""
    return list(await session.scalars(select(col(Book.title))))


async def search_books(session: AsyncSession, words: str) -> list[str]:
    """Find books."""
    return list(await session.scalars(select(col(Book.title)).where(col(Book.title).icontains(words))))


async def extend_loan(session: AsyncSession, book_id: int) -> str:
    """Extend a loan."""
    return f"Extended: {book_id}"


class api:  # noqa: N801 - stands for a module of a feature
    router = APIRouter()
    list_books = list_books


class pages:  # noqa: N801 - also a module
    router = APIRouter()


class tools:  # noqa: N801 - also a module
    search_books = search_books
    extend_loan = extend_loan
    list_books = list_loans = list_books


class jobs:  # noqa: N801 - also a module
    summarise = tidy = index_book


class hooks:  # noqa: N801 - also a module
    @staticmethod
    @after_create(Book)
    async def queue_summary(session: AsyncSession, book: Book) -> None: ...


rows = sa.table("books_tag", sa.column("id", sa.Integer), sa.column("slug", sa.String))
