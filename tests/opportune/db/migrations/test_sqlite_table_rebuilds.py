"""SQLite tables that Alembic alters by copying them."""

import re
from typing import Any

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, ForeignKey, Integer, String, false, func, inspect, text

from opportune.db.migrations.connection import connect
from opportune.db.migrations.reflection import read_table
from opportune.errors import OperatorError
from tests.opportune.db.migrations.sample_features import ID, SampleFeatures

REBUILD = """with op.batch_alter_table('library_book') as batch_op:
        batch_op.alter_column('title', server_default='x')"""


@pytest.fixture
def library(sqlite_sample: SampleFeatures) -> SampleFeatures:
    """Books, and pages and offers that reference them, with one row each."""
    sample = sqlite_sample
    sample.declare_books()
    sample.table("library_page", sample.foreign_key("library_book", "book_id"))
    sample.table("shop_offer", Column("book_id", ID, ForeignKey("library_book.id", ondelete="CASCADE"), nullable=False))
    sample.migrate_models()
    sample.execute("INSERT INTO library_book (id, title) VALUES (1, 'Emma')")
    sample.execute("INSERT INTO library_page (id, book_id) VALUES (1, 1)")
    sample.execute("INSERT INTO shop_offer (id, book_id) VALUES (1, 1)")
    return sample


def alter(library: SampleFeatures) -> None:
    title = Column("title", String(80), nullable=True)
    library.table("library_book", title, Column("pages", Integer, nullable=False, default=7))
    library.migrate_models()


def test_rows_that_reference_a_rebuilt_table_stay(library: SampleFeatures) -> None:
    alter(library)
    assert library.execute("SELECT book_id FROM library_page UNION ALL SELECT book_id FROM shop_offer") == [(1,), (1,)]
    assert library.draft_migrations() == []
    assert library.migrate("library", "1") == ["downgrade library.0002_book_pages_and_more"]
    assert library.execute("SELECT count(*) FROM shop_offer") == [(1,)]


def test_foreign_keys_to_a_rebuilt_table_hold(library: SampleFeatures) -> None:
    alter(library)
    library.write_migration("library", "op.execute('DELETE FROM library_book')")
    with pytest.raises(OperatorError, match=r"library.0003_by_hand .*undone"):
        library.migrate()
    assert library.execute("SELECT count(*) FROM library_book") == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW titles AS SELECT title FROM library_book",
        "CREATE TRIGGER own AFTER INSERT ON library_book BEGIN UPDATE library_book SET title = 'x'; END",
    ],
)
def test_rebuilt_table_keeps_views_and_triggers(library: SampleFeatures, statement: str) -> None:
    library.execute(statement)
    alter(library)
    assert library.execute("SELECT sql FROM sqlite_master WHERE type IN ('view', 'trigger')") == [(statement,)]


@pytest.mark.parametrize(
    "columns",
    [
        "id INTEGER PRIMARY KEY, title VARCHAR(50) COLLATE NOCASE UNIQUE ON CONFLICT IGNORE",
        "id INTEGER PRIMARY KEY ON CONFLICT REPLACE AUTOINCREMENT, title TEXT CONSTRAINT a NOT NULL ON CONFLICT IGNORE",
        "id INT, title TEXT, CONSTRAINT a PRIMARY KEY (id, title) ON CONFLICT IGNORE, UNIQUE (title) ON CONFLICT FAIL",
        "id INTEGER PRIMARY KEY, title VARCHAR(50) CHECK (title NOT IN (':a', ')')), [up] INT AS (upper(title)) STORED",
        "id INTEGER PRIMARY KEY, title TEXT, a INT REFERENCES library_book ON DELETE CASCADE DEFERRABLE",
    ],
)
def test_rebuilt_table_keeps_definitions(sqlite_sample: SampleFeatures, columns: str) -> None:
    sqlite_sample.write_migration("library", f"op.execute(sa.DDL({f'CREATE TABLE library_book ({columns})'!r}))")
    sqlite_sample.migrate()
    before = describe_table(sqlite_sample)
    sqlite_sample.write_migration("library", REBUILD)
    sqlite_sample.migrate()
    assert describe_table(sqlite_sample) == before


def test_table_is_not_copied_if_it_would_lose_a_rule(sqlite_sample: SampleFeatures) -> None:
    create = "CREATE TABLE library_book (id INTEGER PRIMARY KEY, title TEXT, UNIQUE (title COLLATE NOCASE))"
    sqlite_sample.write_migration("library", f"op.execute({create!r})")
    sqlite_sample.migrate()
    sqlite_sample.write_migration("library", REBUILD)
    with pytest.raises(OperatorError, match="would lose"):
        sqlite_sample.migrate()


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("uq_ab", "a INT, b INT, CONSTRAINT uq_ab UNIQUE (a,\n b)"),
        ("uq_a", "a INT, b INT, CONSTRAINT uq_a /* of a */ UNIQUE (a)"),
    ],
)
def test_unique_constraint_is_dropped_by_its_name(sqlite_sample: SampleFeatures, name: str, rule: str) -> None:
    create = f"CREATE TABLE library_book (id INTEGER PRIMARY KEY, {rule})"
    sqlite_sample.write_migration("library", f"op.execute({create!r})")
    sqlite_sample.migrate()
    sqlite_sample.table("library_book", Column("a", Integer), Column("b", Integer))
    sqlite_sample.make_migrations()
    sqlite_sample.migrate()
    sqlite_sample.execute("INSERT INTO library_book (a, b) VALUES (1, 1), (1, 1)")
    assert sqlite_sample.draft_migrations() == []


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX own ON library_book (id, title COLLATE NOCASE, lower(title) DESC)",
        "CREATE INDEX own ON library_book (title) WHERE title > ' where :a' AND id > 3",
    ],
)
def test_rebuilt_table_keeps_indexes(library: SampleFeatures, index: str) -> None:
    library.execute(index)
    library.write_migration("library", REBUILD)
    library.migrate()
    assert library.execute("SELECT sql FROM sqlite_master WHERE name = 'own'") == [(index,)]


def test_rebuild_keeps_numbers_of_deleted_rows(sqlite_sample: SampleFeatures) -> None:
    table = "CREATE TABLE library_book (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT)"
    sqlite_sample.write_migration("library", f"op.execute('{table}')")
    sqlite_sample.migrate()
    sqlite_sample.execute("INSERT INTO library_book VALUES (1, 'a'), (9, 'b')")
    sqlite_sample.execute("DELETE FROM library_book WHERE id = 9")
    sqlite_sample.write_migration("library", REBUILD)
    sqlite_sample.migrate()
    assert sqlite_sample.execute("INSERT INTO library_book (title) VALUES ('c') RETURNING id") == [(10,)]


def test_rebuild_ends_the_old_rules_of_renaming(library: SampleFeatures) -> None:
    with connect(library.settings) as connection:
        op = Operations(MigrationContext.configure(connection))
        with op.batch_alter_table("library_book") as batch_op:
            batch_op.create_unique_constraint("uq_library_book_title", ["title"])
        assert connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar() == 0


def describe_table(sample: SampleFeatures) -> list[object]:
    """Return the columns, constraints and options of the table of books."""
    with connect(sample.settings) as connection:
        collations = {name: column.collation for name, column in read_table(connection, "library_book").columns.items()}
        inspector = inspect(connection)
        key = inspector.get_pk_constraint("library_book")["constrained_columns"]
        columns = [
            # Copies say NOT NULL for a primary key.
            {
                **column,
                "type": str(column["type"]),
                "default": "",
                # Copies may write the clause of a primary key elsewhere.
                "dialect_options": column["dialect_options"].get("sqlite_on_conflict_not_null"),
                "nullable": column["nullable"] and column["name"] not in key,
            }
            for column in inspector.get_columns("library_book")
        ]
        rules = sorted(inspector.get_check_constraints("library_book"), key=str)
        keys = inspector.get_foreign_keys("library_book")
        options = inspector.get_table_options("library_book")
        sql = connection.scalar(text("SELECT upper(sql) FROM sqlite_master WHERE name = 'library_book'"))
        conflicts = sorted(re.findall(r"ON CONFLICT \w+", str(sql)))
        unique = inspector.get_unique_constraints("library_book")
        return [columns, collations, rules, key, keys, options, conflicts, unique]


@pytest.mark.parametrize("default", [func.now(), text("(datetime('now'))"), false(), "", "it's"], ids=str)
def test_server_defaults_are_stable_and_survive_a_copy(sqlite_sample: SampleFeatures, default: Any) -> None:
    for number, length in enumerate((50, 80), start=1):
        column = Column("value", String(30), nullable=False, server_default=default)
        sqlite_sample.table("library_book", Column("title", String(length)), column)
        sqlite_sample.migrate_models()
        assert sqlite_sample.draft_migrations() == []
        sqlite_sample.execute("INSERT INTO library_book (title) VALUES ('Emma')")
        counts = "SELECT count(DISTINCT substr(value, 1, 10)), count(*) FROM library_book"
        assert sqlite_sample.execute(counts) == [(1, number)]
