"""Migrations of search indexes, which models declare with `search_index`."""

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from opportune.db.migrations.connection import connect
from opportune.db.migrations.questions import Choices
from opportune.db.migrations.search_indexes import find_missing_search_indexes
from opportune.db.models.indexes import tables_with_search_index
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

MATCHES = "SELECT rowid FROM trigrams_of_library_book WHERE trigrams_of_library_book MATCH '\"mma\"'"


def declare(sample: SampleFeatures) -> None:
    sample.table("library_book", *columns())


def columns(title: str = "title") -> list[Column[str]]:
    return [Column(title, String(50), nullable=False), Column("subtitle", String(50), nullable=False)]


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    sample = make_sample(declare, "INSERT INTO library_book (title, subtitle) VALUES ('Emma', 'A novel')")
    set_index(sample, "title")
    return sample


@pytest.fixture
def migrated(books: SampleFeatures) -> SampleFeatures:
    """Books with their search index."""
    books.migrate_models()
    return books


def set_index(sample: SampleFeatures, *names: str, table: str = "library_book") -> None:
    sample.metadata.tables[table].info["search_index"] = names


def find_missing(sample: SampleFeatures) -> list[str]:
    with connect(sample.settings) as connection:
        return find_missing_search_indexes(connection, sample.metadata)


@pytest.mark.database("sqlite", "postgresql")
def test_declared_index_gets_a_reversible_migration(books: SampleFeatures, database_kind: str) -> None:
    (draft,) = books.draft_migrations()
    assert [str(change) for change in draft.changes] == ["+ Create search index of library_book (title)"]
    assert find_missing(books) == ["library_book"]
    assert books.make_migrations() == ["library/0002_book_search_index.py"]
    books.migrate()
    assert find_missing(books) == []
    assert books.draft_migrations() == []
    if database_kind == "sqlite":
        assert books.execute(MATCHES) == [(1,)], "it contains existing rows"
    assert books.migrate("library", "1") == ["downgrade library.0002_book_search_index"]
    assert find_missing(books) == ["library_book"]


@pytest.mark.database("sqlite", "postgresql")
def test_changed_columns_replace_the_index(migrated: SampleFeatures) -> None:
    set_index(migrated, "title", "subtitle")
    (draft,) = migrated.draft_migrations()
    assert [change.sign for change in draft.changes] == ["-", "+"]
    migrated.migrate_models()
    assert find_missing(migrated) == []
    assert migrated.draft_migrations() == []
    assert migrated.migrate("library", "2") == [f"downgrade library.{draft.name}"]
    assert find_missing(migrated) == []


@pytest.mark.database("sqlite", "postgresql")
def test_index_follows_a_renamed_column(migrated: SampleFeatures) -> None:
    migrated.table("library_book", *columns("name"))
    set_index(migrated, "name")
    migrated.choices = Choices({"book.title": "name"})
    migrated.migrate_models()
    assert find_missing(migrated) == []
    assert migrated.draft_migrations() == []
    migrated.execute("UPDATE library_book SET name = 'Emilia'")
    migrated.migrate("library", "2")
    assert find_missing(migrated) == []


def test_rebuilt_table_keeps_its_index(migrated: SampleFeatures) -> None:
    migrated.table("library_book", Column("title", String(80), nullable=False), columns()[1])
    set_index(migrated, "title")
    migrated.migrate_models()
    assert find_missing(migrated) == []
    assert migrated.execute(MATCHES) == [(1,)]
    migrated.execute("UPDATE library_book SET title = 'Persuasion'")
    assert migrated.execute(MATCHES) == []
    migrated.execute("DROP TRIGGER trigrams_of_library_book_update")
    assert find_missing(migrated) == ["library_book"]


@pytest.mark.database("postgresql")
def test_migration_continues_without_extension(books: SampleFeatures, caplog: pytest.LogCaptureFixture) -> None:
    books.make_migrations()
    # An event trigger refuses the extension, as for a role without the permission.
    books.execute("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
    refusal = "ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION refuse()"
    books.execute(f"CREATE EVENT TRIGGER refuse ON {refusal}")
    assert books.migrate() == ["upgrade library.0002_book_search_index"]
    (message,) = caplog.messages
    assert message.startswith("Searches of library_book stay slow: this database role may not create")
    assert "\n" not in message
    assert find_missing(books) == ["library_book"]
    assert books.draft_migrations() == []
    assert books.migrate("library", "1") == ["downgrade library.0002_book_search_index"]


def test_mutual_foreign_keys_need_no_order() -> None:
    metadata = MetaData()
    for name, other in (("library_book", "library_author"), ("library_author", "library_book")):
        Table(name, metadata, Column("id", Integer, primary_key=True), Column("other_id", ForeignKey(f"{other}.id")))
    assert [*tables_with_search_index(metadata)] == []
