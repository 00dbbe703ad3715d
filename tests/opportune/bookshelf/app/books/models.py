from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator
from sqlalchemy import UniqueConstraint
from sqlmodel import Field, Relationship

from opportune.accounts import OwnerId
from opportune.db import Model, ModelBase, utc_now
from opportune.fields import Image, Line, Markdown, Money, Slug, image_field, money_field, slug_field


class Status(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


def check_isbn(value: str) -> str:
    digits = value.replace("-", "").replace(" ", "")
    if len(digits) != 13 or not digits.isdigit():
        raise ValueError("An ISBN has 13 digits.")
    if sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10:
        raise ValueError("The check digit of this ISBN is wrong.")
    return digits


class Author(Model, table=True):
    __tablename__ = "books_author"

    name: Line = Field(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name


class Tag(Model, table=True):
    __tablename__ = "books_tag"

    name: Line = Field(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.name


class BookTag(ModelBase, table=True):
    __tablename__ = "books_book_tag"

    book_id: int = Field(foreign_key="books_book.id", primary_key=True, ondelete="CASCADE")
    tag_id: int = Field(foreign_key="books_tag.id", primary_key=True, ondelete="CASCADE", index=True)


class Book(Model, table=True):
    __tablename__ = "books_book"

    title: Line = Field(max_length=200)
    slug: Slug = slug_field("title")
    author_id: int = Field(foreign_key="books_author.id", index=True)
    isbn: Annotated[Line, AfterValidator(check_isbn)] = Field(max_length=20, unique=True, title="ISBN")
    price: Money = money_field("EUR", ge=0)
    cover: Image = image_field("covers", {"thumb": 120}, default="")
    published_on: date | None = Field(None, title="Published")
    status: Status = Status.DRAFT
    description: Markdown = ""
    summary: Markdown = ""

    author: Author = Relationship()
    tags: list[Tag] = Relationship(link_model=BookTag)

    def __str__(self) -> str:
        return self.title


class Review(Model, table=True):
    __tablename__ = "books_review"
    __table_args__ = (UniqueConstraint("user_id", "book_id"),)

    user_id: OwnerId
    book_id: int = Field(foreign_key="books_book.id", ondelete="CASCADE", index=True)
    stars: int = Field(ge=1, le=5)
    text: Markdown = Field("", max_length=2000)
    created_at: datetime = Field(default_factory=utc_now)

    book: Book = Relationship()
