"""Models for tests of search: books on shelves."""

from collections.abc import Sequence

from sqlalchemy import MetaData, insert
from sqlmodel import Field, SQLModel

from opportune.db import BigId, Database
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.db.models.model import NAMING_CONVENTION
from tests.opportune import tables


class Table(SQLModel):
    # Separate from the project's tables, which migrations create.
    metadata = MetaData(naming_convention=NAMING_CONVENTION)

    id: int = Field(default=None, primary_key=True, sa_type=BigId)


class Shelf(Table, table=True):
    __tablename__ = "test_" + "shelf" * 11  # with a prefix, PostgreSQL would cut it

    name: str = ""


class Book(Table, table=True):
    __tablename__ = "order"  # needs quotes in SQL

    shelf_id: int | None = Field(default=None, foreign_key=f"{Shelf.__tablename__}.id", ondelete="CASCADE")
    title: str
    summary: str | None = None
    pages: int = 0


async def make_tables(database: Database) -> None:
    await tables.make_tables(database, Book)


async def create_indexes(database: Database) -> None:
    """Create and drop indexes as `migrate` does."""
    async with database.engine.begin() as connection:
        await connection.run_sync(run_due_statements)


async def add(database: Database, *books: Sequence[str | None]) -> None:
    """Insert books, each with a title and perhaps a summary."""
    async with database.writer() as session:
        rows = [dict(zip(("title", "summary"), book, strict=False)) for book in books]
        for row in rows:
            await session.execute(insert(Book).values(row))
