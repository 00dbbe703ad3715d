"""Indexes of tables that have rows already."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Index, Integer, String, text

from opportune.db.migrations.concurrent_indexes import split_indexes
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import read_migration
from opportune.db.migrations.runner import Step, plan_for, run_migrations_within
from opportune.db.migrations.sql_script import migration_sql
from opportune.errors import OperatorError
from tests.opportune.db.conftest import Begin
from tests.opportune.db.migrations.sample_features import SampleFeatures

TITLE = ("title", String(50))
INSERT = text("INSERT INTO library_book (title) VALUES ('Emma')")


@pytest.fixture
def books(begin: Begin) -> SampleFeatures:
    sample = begin(declare)
    sample.table("library_book", Column(*TITLE, nullable=False, index=True), Column("pages", Integer, index=True))
    return sample


def declare(sample: SampleFeatures) -> None:
    sample.table("library_book", Column(*TITLE, nullable=False))


def indexes(books: SampleFeatures) -> set[str]:
    with connect(books.settings) as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'index'" if is_sqlite else "SELECT indexname FROM pg_indexes"
        )
        return {name for name in connection.scalars(text(query)) if name.startswith("ix_")}


def test_they_come_in_a_migration_of_their_own_before_which_a_script_ends_its_transaction_and_go_again(
    books: SampleFeatures,
) -> None:
    assert books.make(concurrently=True) == ["library/0002_book_pages.py", "library/0003_book_pages_index_and_more.py"]
    first, second = (read_migration(path) for path in sorted((books.versions / "library").glob("000[23]*.py")))
    assert (first.is_atomic, second.is_atomic) == (True, False)
    script = migration_sql(books.graph, Step(books.graph.find("library", "3"), "upgrade"), "postgresql")
    begin, rest = script.split("COMMIT;", 1)
    assert "INDEX" not in begin
    assert "CREATE INDEX CONCURRENTLY ix_library_book_title ON library_book (title)" in rest.split("BEGIN;")[0]
    assert len(books.migrate()) == 2
    assert indexes(books) == {"ix_library_book_title", "ix_library_book_pages"}
    assert books.drafts() == []
    assert books.migrate("library", "1") == [
        "downgrade library.0003_book_pages_index_and_more",
        "downgrade library.0002_book_pages",
    ]
    assert indexes(books) == set()
    assert len(books.migrate()) == 2


@pytest.mark.database("postgresql")
def test_others_write_while_one_is_built(books: SampleFeatures) -> None:
    books.make(concurrently=True)
    books.migrate("library", "2")
    with connect(books.settings) as first, ThreadPoolExecutor(1) as threads:
        with first.begin():
            first.execute(INSERT)  # which has to be over before an index is built
            migrating = threads.submit(books.migrate)
            wait_until_it_waits(books)
            with connect(books.settings) as second, second.begin():
                second.execute(text("SET LOCAL lock_timeout = '2s'"))
                second.execute(INSERT)  # and would wait behind one that is built otherwise
        assert migrating.result(timeout=30) == ["upgrade library.0003_book_pages_index_and_more"]


def wait_until_it_waits(books: SampleFeatures) -> None:
    until = time.monotonic() + 30
    with connect(books.settings) as connection:
        while not connection.scalar(text("SELECT true FROM pg_stat_progress_create_index WHERE lockers_total > 0")):
            assert time.monotonic() < until
            connection.rollback()
        connection.rollback()


@pytest.mark.database("postgresql")
def test_who_migrates_at_once_builds_it_once(books: SampleFeatures) -> None:
    books.make(concurrently=True)
    with ThreadPoolExecutor(2) as threads:  # PostgreSQL knows connections alone
        runs = [threads.submit(books.migrate) for _ in range(2)]
    taken = [step for run in runs for step in run.result()]
    assert sorted(taken) == ["upgrade library.0002_book_pages", "upgrade library.0003_book_pages_index_and_more"]


@pytest.mark.database("postgresql")
def test_what_a_try_has_left_goes_before_the_next(books: SampleFeatures) -> None:
    books.make(concurrently=True)
    books.migrate("library", "2")
    with connect(books.settings) as connection:
        connection.execute(text("CREATE INDEX ix_library_book_title ON library_book (pages)"))
        connection.commit()
    books.migrate()
    with connect(books.settings) as connection:
        made = "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_library_book_title'"
        assert "(title)" in str(connection.scalar(text(made)))


def test_inside_a_transaction_of_somebody_elses_they_are_plain_ones(books: SampleFeatures) -> None:
    books.make(concurrently=True)
    with connect(books.settings) as connection:
        with connection.begin() as transaction:
            run_migrations_within(connection, books.graph, plan_for(books.graph))
            transaction.rollback()
        assert indexes(books) == set()
        with connection.begin():
            run_migrations_within(connection, books.graph, plan_for(books.graph))
    assert indexes(books) == {"ix_library_book_title", "ix_library_book_pages"}


@pytest.mark.database("sqlite")
def test_unique_ones_those_of_new_tables_and_changed_ones_stay_where_they_are(books: SampleFeatures) -> None:
    books.table("library_book", Column(*TITLE, nullable=False, index=True))
    books.make()
    books.migrate()
    shelf = books.table("library_shelf", Column("name", String(50), index=True))
    book = books.table(
        "library_book", Column(*TITLE, nullable=False), Column("pages", Integer, index=True, unique=True)
    )
    Index("ix_library_book_title", book.c.pages, book.c.title)
    assert shelf is not None
    (draft,) = books.drafts()
    assert list(split_indexes(draft)) == [draft]


@pytest.mark.database("postgresql")
def test_a_failure_says_that_it_stopped_half_way(books: SampleFeatures) -> None:
    books.formats = True
    books.make(concurrently=True)
    path = max((books.versions / "library").glob("*.py"))
    path.write_text(path.read_text().replace('["pages"]', '["sides"]'))
    with pytest.raises(OperatorError, match="0003_book_pages_index_and_more failed half-way: mend what is wrong"):
        books.migrate()
    assert len(books.recorded()) == 1
