"""Novels with genres in a relationship with `link_model`, and views with every hook."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Integer, Select, UniqueConstraint, delete, func, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, Relationship, col
from starlette.requests import Request

from opportune.admin import AdminView, ValidationRefused
from opportune.feature import Admin, Feature
from tests.opportune.tables import Named, Titled, UnmigratedTable

BANNED = "Banned"


class NovelGenre(UnmigratedTable, table=True):
    __table_args__ = (UniqueConstraint("novel_id", "genre_id"),)

    novel_id: int = Field(foreign_key="test_novel.id")
    genre_id: int = Field(foreign_key="test_genre.id", index=True)


class Genre(Named, UnmigratedTable, table=True):
    name: str = Field(max_length=50, unique=True)


class Language(UnmigratedTable, table=True):
    code: str = Field(max_length=2, unique=True)


SHELF = SqlTable("test_plain_shelf", UnmigratedTable.metadata, Column("id", Integer, primary_key=True))


class Novel(Titled, UnmigratedTable, table=True):
    title: str = Field(max_length=80)
    language: str | None = Field(default=None, max_length=2, foreign_key="test_language.code")
    """A foreign key to a text column."""
    shelf_id: int | None = Field(default=None, foreign_key="test_plain_shelf.id")
    """A foreign key to a table without a model."""
    added_by: str
    genres: list[Genre] = Relationship(link_model=NovelGenre)
    items: list["Copy"] = Relationship()


class Copy(UnmigratedTable, table=True):
    novel_id: int | None = Field(default=None, foreign_key="test_novel.id")
    label: str


class Loan(UnmigratedTable, table=True):
    reader_id: int = Field(foreign_key="test_reader.id")
    genre_id: int = Field(foreign_key="test_genre.id")
    until: str


class Reader(Named, UnmigratedTable, table=True):
    name: str = Field(max_length=50, unique=True)
    lent: list[Genre] = Relationship(link_model=Loan)
    """The link table has a required column, so forms cannot add links."""


class GenreAdmin(AdminView, model=Genre):
    def list_query(self, request: Request) -> Select[Any]:
        return super().list_query(request).where(col(Genre.name) != BANNED)


class NovelAdmin(AdminView, model=Novel):
    columns = ("id", "title", "genres")
    readonly = ("added_by",)
    can_import = True

    async def before_save(self, session: AsyncSession, row: Novel, request: Request, *, is_created: bool) -> None:
        # The row has no id and lacks required values, so this query must not flush it.
        titles = select(func.count()).select_from(Novel).where(col(Novel.title) == row.title)
        if row.title == "Taken" and await session.scalar(titles):
            raise ValidationRefused("There is one of this title.", "title")
        if is_created:
            row.added_by = request.state.user.email

    async def after_save(self, session: AsyncSession, row: Novel, request: Request, *, is_created: bool) -> None:
        genres = ", ".join(sorted(genre.name for genre in row.genres))
        session.add(Copy(novel_id=row.id, label=f"{'new' if is_created else 'changed'}: {genres}"))

    async def before_delete(self, session: AsyncSession, row: Novel, request: Request) -> None:
        if row.title == "Keep":
            raise ValidationRefused("This one stays.")
        await session.execute(delete(Copy).where(col(Copy.novel_id) == row.id))

    async def after_delete(self, session: AsyncSession, row: Novel, request: Request) -> None:
        deleted = await session.scalar(select(col(Novel.id)).where(col(Novel.id) == row.id)) is None
        session.add(Copy(label=f"{row.title} is gone: {deleted}"))


class CopyAdmin(AdminView, model=Copy):
    can_import = True


class ReaderAdmin(AdminView, model=Reader): ...


views = Admin((GenreAdmin, NovelAdmin, CopyAdmin, ReaderAdmin))
novels = Feature("novels", models=(NovelGenre, Genre, Language, Novel, Copy, Loan, Reader), admin=views)


def make_genres() -> Sequence[Genre]:
    return Genre(id=1, name="Crime"), Genre(id=2, name="Poetry"), Genre(id=3, name=BANNED)
