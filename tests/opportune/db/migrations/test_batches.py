"""Migrations that change rows in batches."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Column, Integer, text

from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.db.migrations.connection import connect
from opportune.db.migrations.runner import run_migrations_within
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

IMPORT = "from opportune.db.migrations.batches import in_batches"
DOUBLE = "UPDATE library_book SET pages = pages * 2 WHERE id BETWEEN :first AND :last"
INSERT = "INSERT INTO library_book (id, pages) VALUES "
FAIL = "UPDATE library_book SET pages = NULL WHERE id BETWEEN :first AND :last"
MIGRATION = "library.0002_by_hand"


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """A table with ten rows."""
    rows = ", ".join(f"({number}, {number})" for number in range(1, 11))
    return make_sample(lambda new: new.table("library_book", Column("pages", Integer, nullable=False)), INSERT + rows)


def write_batches(books: SampleFeatures, *statements: str, size: int = 3) -> None:
    calls = [f'in_batches(op, "library_book", "{statement}", {size})' for statement in statements]
    books.write_migration("library", "\n    ".join([IMPORT, *calls]))


def read_pages(books: SampleFeatures) -> list[object]:
    return [pages for (pages,) in books.execute("SELECT pages FROM library_book ORDER BY id")]


def doubled(count: int) -> list[int]:
    return [number * 2 if number <= count else number for number in range(1, 11)]


def edit_migration(books: SampleFeatures, old: str, new: str) -> None:
    path = max((books.versions / "library").glob("*.py"))
    path.write_text(path.read_text().replace(old, new))


def fail_once(books: SampleFeatures, key: int) -> None:
    """Run a migration that stops in the batch of this row, as if it were killed."""
    failing = f"CASE id WHEN {key} THEN NULL ELSE pages * 2 END"
    write_batches(books, DOUBLE.replace("pages * 2", failing))
    with pytest.raises(OperatorError, match=r"failed halfway\. Fix the cause, and run this again"):
        books.migrate()
    edit_migration(books, failing, "pages * 2")


@pytest.mark.database("sqlite", "postgresql")
def test_migrate_continues_after_a_failure(books: SampleFeatures) -> None:
    fail_once(books, 8)
    assert read_pages(books) == doubled(6)
    assert books.find_pending() == [MIGRATION]
    books.migrate()
    assert read_pages(books) == doubled(10)
    assert books.read_tables() == {"library_book"}


def test_finished_call_is_not_repeated(books: SampleFeatures) -> None:
    write_batches(books, DOUBLE, FAIL)
    with pytest.raises(OperatorError, match="failed halfway"):
        books.migrate()
    edit_migration(books, "pages = NULL", "pages = pages + 0")
    books.migrate()
    assert read_pages(books) == doubled(10)


def test_following_steps_run_in_the_last_transaction(books: SampleFeatures) -> None:
    write_batches(books, DOUBLE)
    failing = 'op.execute("UPDATE library_book SET pages = 0")\n    op.execute("UPDATE missing SET pages = 0")'
    edit_migration(books, ", 3)\n", f", 3)\n    {failing}\n")
    with pytest.raises(OperatorError, match="failed halfway"):
        books.migrate()
    assert read_pages(books) == doubled(10)
    assert books.find_pending() == [MIGRATION]


@pytest.mark.database("sqlite", "postgresql")
def test_batches_within_a_transaction_are_undone_with_it(books: SampleFeatures) -> None:
    write_batches(books, DOUBLE)
    with connect(books.settings) as connection, connection.begin() as transaction:
        run_migrations_within(connection, books.graph)
        assert connection.scalar(text("SELECT pages FROM library_book WHERE id = 10")) == 20
        transaction.rollback()
    assert read_pages(books) == doubled(0)


@pytest.mark.database("sqlite", "postgresql")
def test_simultaneous_runs_change_each_row_once(books: SampleFeatures) -> None:
    write_batches(books, DOUBLE, size=1)
    with ThreadPoolExecutor(2) as threads:
        for run in [threads.submit(books.migrate) for _ in range(2)]:
            run.result(timeout=30)
    assert read_pages(books) == doubled(10)


@pytest.mark.database("postgresql")
def test_pooled_connection_changes_rows(books: SampleFeatures) -> None:
    write_batches(books, DOUBLE)
    with pgbouncer(books.settings.database_url.get_secret_value()) as url:
        replace(books, settings=settings_for(url)).migrate()
    assert read_pages(books) == doubled(10)


@pytest.mark.database("postgresql")
def test_row_locked_for_too_long_is_reported(books: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.db.migrations.locks.ATTEMPT_SECONDS", 0.1)
    monkeypatch.setattr("opportune.db.migrations.locks.MAX_RETRY_SECONDS", 0)
    write_batches(books, DOUBLE)
    with connect(books.settings) as connection, connection.begin():
        connection.execute(text("UPDATE library_book SET pages = 8 WHERE id = 8"))
        with pytest.raises(OperatorError, match="Other transactions use rows of library_book"):
            books.migrate()
    books.migrate()
    assert read_pages(books) == doubled(10)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            'in_batches(op, "library_book", "UPDATE library_book SET pages = 1")',
            "add :first and :last to the statement",
        ),
        (f'in_batches(op, "library_book", "{DOUBLE}", 0)', "batch_rows is 0, but must be at least 1"),
        (f'op.execute("SELECT 1")\n    in_batches(op, "a", "{DOUBLE}")', "has other steps before in_batches"),
    ],
)
def test_wrong_batches_are_refused(books: SampleFeatures, steps: str, message: str) -> None:
    books.write_migration("library", f"{IMPORT}\n    {steps}")
    with pytest.raises(OperatorError, match=message):
        books.migrate()
