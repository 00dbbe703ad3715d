"""Bookshelf: books with an author, tags and reviews, and their views."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from sqlmodel import Field, Relationship

from opportune.admin import AdminView, FileColumn, ImageColumn, Inline
from opportune.db import ModelBase
from opportune.feature import Admin, Feature
from tests.opportune.tables import Named, Titled, UnmigratedTable


class Status(StrEnum):
    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class Country(Named, UnmigratedTable, table=True):
    __tablename__ = "test_bookshelf_country"

    natural_key: ClassVar[str] = "name"

    name: str = Field(max_length=60)
    """Not unique in the database, so two countries can have the same name."""


class Author(Named, UnmigratedTable, table=True):
    __tablename__ = "test_bookshelf_author"

    name: str = Field(max_length=100, unique=True)
    country_id: int | None = Field(default=None, foreign_key="test_bookshelf_country.id", index=True)
    country: Country | None = Relationship()


class BookTag(ModelBase, table=True):
    __tablename__ = "test_bookshelf_book_tag"
    metadata = UnmigratedTable.metadata

    book_id: int = Field(foreign_key="test_bookshelf_book.id", primary_key=True)
    tag_id: int = Field(foreign_key="test_bookshelf_tag.id", primary_key=True, index=True)
    note: str = Field(default="", max_length=40)


class Tag(Named, UnmigratedTable, table=True):
    __tablename__ = "test_bookshelf_tag"

    name: str = Field(max_length=50, unique=True)


class Book(Titled, UnmigratedTable, table=True):
    __tablename__ = "test_bookshelf_book"

    natural_key: ClassVar[str] = "isbn"
    search_index = ("title", "isbn")

    title: str = Field(max_length=200, index=True)
    slug: str = Field(max_length=200, unique=True)
    isbn: str = Field(max_length=13, unique=True)
    author_id: int = Field(foreign_key="test_bookshelf_author.id", index=True)
    price: Decimal = Field(default=Decimal(0), max_digits=8, decimal_places=2)
    cover: str = Field(default="", max_length=100)
    published_on: date | None = None
    status: Status = Status.DRAFT
    author: Author = Relationship()
    tags: list[Tag] = Relationship(link_model=BookTag)


class ReviewTag(ModelBase, table=True):
    __tablename__ = "test_bookshelf_review_tag"
    metadata = UnmigratedTable.metadata

    review_id: int = Field(foreign_key="test_bookshelf_review.id", primary_key=True)
    tag_id: int = Field(foreign_key="test_bookshelf_tag.id", primary_key=True, index=True)


class Mood(StrEnum):
    GLAD = "glad"
    SAD = "sad"


class Review(UnmigratedTable, table=True):
    __tablename__ = "test_bookshelf_review"

    book_id: int = Field(foreign_key="test_bookshelf_book.id", ondelete="CASCADE", index=True)
    critic_id: int | None = Field(default=None, foreign_key="test_bookshelf_author.id", index=True)
    stars: int = Field(default=5, ge=1, le=5)
    mood: Mood | None = None
    photo: str = Field(default="", max_length=100)
    book: Book = Relationship()
    critic: Author | None = Relationship()
    tags: list[Tag] = Relationship(link_model=ReviewTag)

    def __str__(self) -> str:
        return f"{self.stars} stars"


class CountryAdmin(AdminView, model=Country): ...


class AuthorAdmin(AdminView, model=Author):
    can_import = True


class TagAdmin(AdminView, model=Tag):
    inlines = (Inline(BookTag, "tag_id", ("book_id", "note")),)


class BookTagAdmin(AdminView, model=BookTag): ...


class ReviewAdmin(AdminView, model=Review):
    can_import = True
    file_columns = {"photo": FileColumn("reviews")}


class BookAdmin(AdminView, model=Book):
    columns = ("title", "author", "author.country.name", "tags", "price", "status")
    search = ("title", "isbn", "author.name")
    sort = ("title", "author.name", "author.country.name", "price")
    filters = ("author", "author.country", "author.name", "tags", "status", "price", "published_on")
    file_columns = {"cover": ImageColumn("books")}
    prepopulated = {"slug": "title"}
    inlines = (Inline(Review, "book_id", ("stars", "critic", "mood", "photo", "tags")),)
    can_import = True


bookshelf = Feature(
    "bookshelf",
    models=(Country, Author, BookTag, Tag, Book, ReviewTag, Review),
    admin=Admin((CountryAdmin, AuthorAdmin, TagAdmin, BookTagAdmin, ReviewAdmin, BookAdmin)),
)
