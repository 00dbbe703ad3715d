"""`sqlmigrate`: SQL of migrations, which has the same effect as `migrate`."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Column, Index, Integer, String, func

from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.plans import Step
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.sql_script import render_migration_sql
from opportune.errors import OperatorError
from opportune.project.installed import installed_names
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman
from tests.opportune.db.migrations.sample_features import SampleFeatures

pytestmark = pytest.mark.database("sqlite", "postgresql")

DESCRIBE = """
    SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
    WHERE table_schema = 'public' UNION ALL
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace UNION ALL
    SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2, 3
"""


def run_script(url: str, sql: str) -> None:
    """Run a script in autocommit mode, like a database client."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.executescript(sql)
        return
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql)


def migrated_schema(url: str) -> list[tuple[object, ...]]:
    """Return the schema without indexes for search, which are created after the migrations."""
    return [row for row in full_schema(url) if not any(is_derived(str(name)) for name in row[:2])]


def full_schema(url: str) -> list[tuple[object, ...]]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
            # SQLite migrations copy tables, which changes the order of constraints.
            return [(kind, name, *sorted(re.split(r",? *\n\t?", sql or ""))) for kind, name, sql in rows]
    with psycopg.connect(url) as server:
        return list(server.execute(DESCRIBE))


def create_changed_books(settings_url: str, folder: Path) -> SampleFeatures:
    """Create two related tables and migrate them, then change a column, for which SQLite copies the table."""
    sample = SampleFeatures(settings_for(settings_url), folder)
    title = Column("title", String(50), nullable=False)
    Index("ix_library_book_lower", func.lower(sample.table("library_book", title).c.title), unique=True)
    sample.table("library_page", sample.foreign_key("library_book", "book_id"))
    sample.migrate_models()
    longer = Column("title", String(80), nullable=False)
    pages = Column("pages", Integer, nullable=False, default=7)
    Index("ix_library_book_lower", func.lower(sample.table("library_book", longer, pages).c.title), unique=True)
    sample.make_migrations()
    return sample


def test_sql_equals_migrate(oppman: Oppman, empty_database_url: str, request: pytest.FixtureRequest) -> None:
    """The scripts of all migrations create the same schema as `migrate`.

    On SQLite, only the last scripts are run backwards, because each one takes long.
    """
    graph, kind = MigrationGraph(installed_names()), empty_database_url.partition(":")[0]
    forwards = [render_migration_sql(graph, Step(migration, "upgrade"), kind) for migration in graph.ordered]
    first = graph.ordered[0]
    printed = oppman("sqlmigrate", first.feature, str(first.number), DATABASE_URL=empty_database_url)
    assert (printed.code, printed.out) == (0, forwards[0]), printed.err
    for script in forwards:
        run_script(empty_database_url, script)
    assert oppman("migrate", "--check").code == 0
    migrated = request.getfixturevalue("database_url")
    assert migrated_schema(empty_database_url) == migrated_schema(migrated)
    unapplied = graph.ordered if kind == "postgresql" else graph.ordered[-4:]
    backwards = [render_migration_sql(graph, Step(migration, "downgrade"), kind) for migration in unapplied]
    last_migration = graph.ordered[-1]
    assert oppman("sqlmigrate", last_migration.feature, last_migration.name, "--backwards").out == backwards[-1]
    for script in reversed(backwards):
        run_script(empty_database_url, script)
    assert oppman("showmigrations").out.count("[X]") == len(graph.ordered) - len(unapplied)
    if unapplied == graph.ordered:
        assert {row[0] for row in migrated_schema(empty_database_url)} == {"alembic_version"}


def test_changed_table_keeps_rows_and_references(empty_database_url: str, tmp_path: Path) -> None:
    books = create_changed_books(empty_database_url, tmp_path / "versions")
    schema_before = migrated_schema(empty_database_url)
    books.execute("INSERT INTO library_book (id, title) VALUES (1, 'Emma')")
    books.execute("INSERT INTO library_page (id, book_id) VALUES (1, 1)")
    change = books.graph.migrations_of("library")[-1]
    kind = books.settings.database_url.get_secret_value().partition(":")[0]
    run_script(empty_database_url, render_migration_sql(books.graph, Step(change, "upgrade"), kind))
    assert books.find_pending() == []
    assert books.draft_migrations() == []
    assert books.execute("SELECT title, pages FROM library_book") == [("Emma", 7)]
    assert books.execute("SELECT book_id FROM library_page") == [(1,)]
    run_script(empty_database_url, render_migration_sql(books.graph, Step(change, "downgrade"), kind))
    assert [row[:2] for row in migrated_schema(empty_database_url)] == [row[:2] for row in schema_before]
    assert books.execute("SELECT count(*) FROM library_page") == [(1,)]


def test_sql_contains_values(empty_database_url: str, tmp_path: Path) -> None:
    sample = SampleFeatures(settings_for(empty_database_url), tmp_path / "versions")
    sample.table("library_book", Column("title", String(50)))
    sample.migrate_models()
    sample.write_migration(
        "library",
        "book = sa.table('library_book', sa.column('id', sa.Integer), sa.column('title', sa.String))\n"
        "    op.bulk_insert(book, [{'id': 1, 'title': \"it's 100%\"}])\n"
        "    op.execute(book.update().where(book.c.id == 1).values(title=book.c.title + '!'))",
    )
    kind = empty_database_url.partition(":")[0]
    step = Step(sample.graph.migrations_of("library")[-1], "upgrade")
    run_script(empty_database_url, render_migration_sql(sample.graph, step, kind))
    assert sample.execute("SELECT title FROM library_book") == [("it's 100%!",)]
    assert sample.find_pending() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "lines",
    [
        "for row in op.get_bind().execute(sa.text('SELECT id FROM library_book')): op.execute('SELECT 1')",
        "op.get_bind().scalar(sa.text('SELECT count(*) FROM library_book'))",
        "from opportune.db.migrations.batches import in_batches\n"
        "    in_batches(op, 'library_book', 'DELETE FROM library_book WHERE id BETWEEN :first AND :last')",
    ],
)
def test_migration_that_reads_rows_is_refused(tmp_path: Path, kind: str, lines: str) -> None:
    sample = SampleFeatures(settings_for(f"sqlite:///{tmp_path}/sample.db"), tmp_path / "versions")
    sample.table("library_book")
    sample.make_migrations()
    sample.write_migration("library", lines)
    with pytest.raises(OperatorError, match=r"library.0002_by_hand is not known .* depends on rows"):
        render_migration_sql(sample.graph, Step(sample.graph.migrations_of("library")[-1], "upgrade"), kind)
