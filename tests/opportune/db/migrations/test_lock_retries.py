"""Retries of migrations whose tables are locked by other transactions."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Column, Integer, text

from opportune.db.migrations.connection import connect
from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

pytestmark = pytest.mark.database("postgresql")


@pytest.fixture
def books(make_sample: MakeSample, monkeypatch: pytest.MonkeyPatch) -> SampleFeatures:
    """A table with a migration that adds a column."""
    sample = make_sample(lambda sample: sample.table("library_book"))
    sample.table("library_book", Column("pages", Integer))
    sample.make_migrations()
    monkeypatch.setattr("opportune.db.migrations.locks.ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr("opportune.db.migrations.locks.PAUSE_SECONDS", 0.2)
    return sample


@contextmanager
def locked_table(books: SampleFeatures) -> Iterator[None]:
    with connect(books.settings) as connection, connection.begin():
        connection.execute(text("SELECT * FROM library_book"))
        yield


def test_migration_waits_and_lets_other_sessions_read(books: SampleFeatures) -> None:
    with ThreadPoolExecutor(1) as threads, connect(books.settings) as reader:
        with locked_table(books):
            migrating = threads.submit(books.migrate)
            for _ in range(5):
                with reader.begin():
                    reader.execute(text("SET LOCAL lock_timeout = '20s'"))
                    reader.execute(text("SELECT * FROM library_book"))  # queues behind an attempt
                time.sleep(0.1)
            assert not migrating.done()
        assert migrating.result(timeout=30) == ["upgrade library.0002_book_pages"]


def test_locked_table_is_reported_after_last_attempt(books: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.db.migrations.locks.MAX_RETRY_SECONDS", 0.5)
    with locked_table(books), pytest.raises(OperatorError) as error:
        books.migrate()
    undone = "library.0002_book_pages was undone: other transactions use its tables."
    assert str(error.value) == f"{undone} Run this again at a quieter time."
    assert books.find_pending() == ["library.0002_book_pages"]
