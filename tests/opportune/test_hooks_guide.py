"""The examples of docs/hooks.md."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import MetaData
from sqlmodel import Field, SQLModel

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.hooks import registry as hooks
from opportune.errors import FieldErrors
from opportune.feature import Feature
from opportune.storage import open_storage
from opportune.testing import RecordedJobs
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.stored_rows import add_rows, count

GUIDE = read_guide("hooks.md")


class Table(SQLModel):
    # Separate from the project's tables, which migrations create.
    metadata = MetaData()

    id: int = Field(default=None, primary_key=True)


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    blocks = [code.replace("(Model, table=True)", "(Table, table=True)") for code in code_blocks(GUIDE)]
    with hooks.temporary_hooks():
        yield run_code(*blocks, Table=Table, __name__=__name__)


@pytest.fixture
async def library(names: dict[str, Any], database: Database) -> Database:
    """A database with the tables of the guide."""
    del names
    async with database.engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    return database


async def test_example_queues_jobs_and_refuses(names: dict[str, Any], library: Database, settings: Settings) -> None:
    jobs, book_class = RecordedJobs(settings, library, open_storage(settings)), names["Book"]
    book = book_class(title="Emma", price=20)
    await add_rows(library, book)
    assert jobs.names == ["books.summarise"]
    for price in (25, 15):
        async with library.writer() as session:
            (await session.get_one(book_class, book.id)).price = price
    assert jobs.calls[1:] == [names["announce"](book.id, 15)]
    async with library.writer() as session:
        session.add(lent := book_class(title="Emma", loans=1))
        await session.flush()
        await session.delete(lent)
        with pytest.raises(FieldErrors, match="The book is lent"):
            await session.flush()
        await session.rollback()


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("copies", [1, 2])
async def test_loans_are_limited_by_copies(names: dict[str, Any], library: Database, copies: int) -> None:
    async with library.writer() as session:
        session.add(book := names["Book"](title="Emma", copies=copies))
        await session.flush()
        for loans in (2, 1, 1):
            with suppress(FieldErrors):
                async with session.begin_nested():
                    session.add_all([names["Loan"](book_id=book.id) for _ in range(loans)])
    assert await count(library, names["Loan"]) == copies


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("periods", "stored", "together"),
    [([(1, 2), (2, 3)], 2, True), ([(1, 3), (2, 4)], 1, False), ([(1, 3), (2, 4)], 0, True), ([(2, 1)], 0, False)],
)
async def test_overlaps_and_wrong_periods_are_refused(
    names: dict[str, Any], library: Database, periods: list[tuple[int, int]], stored: int, together: bool
) -> None:
    async with library.writer() as session:
        session.add(room := names["Room"]())
        await session.flush()
        days = [(datetime(2026, 5, start, tzinfo=UTC), datetime(2026, 5, end, tzinfo=UTC)) for start, end in periods]
        bookings = [names["Booking"](room_id=room.id, starts_at=start, ends_at=end) for start, end in days]
        for rows in [bookings] if together else [[booking] for booking in bookings]:
            with suppress(FieldErrors):
                async with session.begin_nested():
                    session.add_all(rows)
    assert await count(library, names["Booking"]) == stored


def test_feature_lists_the_hooks_of_the_guide(names: dict[str, Any]) -> None:
    (listed,) = re.findall(r"Feature\(hooks=\[([\w,\s]+)\]", GUIDE)
    functions = [names[name] for name in re.findall(r"\w+", listed)]
    assert Feature("books", hooks=functions).hooks == functions
