"""Concurrent creation of indexes on existing tables."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Integer, String, inspect, text

from opportune.db.migrations.connection import connect
from opportune.db.migrations.migration_file import read_migration
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

INVALID_INDEXES = "SELECT FROM pg_index WHERE NOT indisvalid"
INSERT = text("INSERT INTO library_book (title) VALUES ('Emma')")


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    sample = make_sample(SampleFeatures.declare_books)
    title = Column("title", String(50), nullable=False, index=True)
    sample.table("library_book", title, Column("pages", Integer, index=True))
    return sample


def read_indexes(books: SampleFeatures) -> set[str]:
    with connect(books.settings) as connection:
        return {str(index["name"]) for index in inspect(connection).get_indexes("library_book")}


def wait_until_found(books: SampleFeatures, query: str) -> None:
    deadline = time.monotonic() + 30
    while not books.execute(query):
        assert time.monotonic() < deadline


@pytest.mark.database("sqlite", "postgresql")
def test_indexes_get_a_separate_migration(books: SampleFeatures) -> None:
    created = ["library/0002_book_pages.py", "library/0003_book_pages_index_and_more.py"]
    assert books.make_migrations(concurrently=True) == created
    paths = sorted((books.versions / "library").glob("000[23]*.py"))
    assert [read_migration(path).is_atomic for path in paths] == [True, False]
    assert len(books.migrate()) == 2
    assert read_indexes(books) == {"ix_library_book_title", "ix_library_book_pages"}
    assert books.draft_migrations() == []
    undone = ["downgrade library.0003_book_pages_index_and_more", "downgrade library.0002_book_pages"]
    assert books.migrate("library", "1") == undone
    assert read_indexes(books) == set()
    assert len(books.migrate()) == 2


@pytest.mark.database("postgresql")
def test_concurrent_index_does_not_block_writers(books: SampleFeatures) -> None:
    books.make_migrations(concurrently=True)
    books.migrate("library", "2")
    with connect(books.settings) as open_connection, ThreadPoolExecutor(1) as threads:
        with open_connection.begin():
            open_connection.execute(INSERT)  # the index waits for this transaction
            migrating = threads.submit(books.migrate)
            wait_until_found(books, "SELECT FROM pg_stat_progress_create_index WHERE lockers_total > 0")
            with connect(books.settings) as writer, writer.begin():
                writer.execute(text("SET LOCAL lock_timeout = '2s'"))
                writer.execute(INSERT)  # would wait for an index that is not concurrent
        assert migrating.result(timeout=30) == ["upgrade library.0003_book_pages_index_and_more"]


@pytest.mark.database("postgresql")
def test_index_of_failed_attempt_is_dropped(books: SampleFeatures) -> None:
    books.make_migrations(concurrently=True)
    books.migrate("library", "2")
    books.execute("CREATE INDEX ix_library_book_title ON library_book (pages)")
    books.migrate()
    [(definition,)] = books.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_library_book_title'")
    assert "(title)" in str(definition)


@pytest.mark.database("postgresql")
def test_locked_table_delays_the_index(books: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.db.migrations.locks.PAUSE_SECONDS", 0.1)
    books.make_migrations(concurrently=True)
    books.migrate("library", "2")
    path = max((books.versions / "library").glob("*.py"))
    block = "autocommit_block():\n"
    path.write_text(path.read_text().replace(block, f"{block}        op.execute(\"SET lock_timeout = '50ms'\")\n"))
    with ThreadPoolExecutor(1) as threads:
        with connect(books.settings) as open_connection, open_connection.begin():
            open_connection.execute(INSERT)
            migrating = threads.submit(books.migrate)
            wait_until_found(books, INVALID_INDEXES)
        assert migrating.result(timeout=30) == ["upgrade library.0003_book_pages_index_and_more"]
    assert books.execute(INVALID_INDEXES) == []
