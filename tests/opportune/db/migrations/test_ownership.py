"""Owners of tables: models and migrations, not names."""

import pytest
from sqlalchemy import Column, String

from opportune.db.migrations.connection import connect
from opportune.db.migrations.ownership import find_other_tables, find_site_tables, read_applied_owners
from opportune.project.installed import adopted_tables
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

OWN_CODE = """op.execute('CREATE TABLE library_audit (id INTEGER); CREATE TABLE "Library Notes" (id INTEGER)')
    op.get_bind().exec_driver_sql("CREATE TABLE library_cache (id INTEGER)")
    op.create_table("library_log", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("ALTER TABLE library_cache RENAME TO library_memory")"""


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """A migrated feature, and the tables of another program."""
    tables = [f"CREATE TABLE {name} (id INTEGER)" for name in ("library_archive", "shop_log")]
    return make_sample(SampleFeatures.declare_books, *tables)


def write_own_code(sample: SampleFeatures) -> None:
    path = sample.write_migration("library", OWN_CODE.replace("; CREATE", "')\n    op.execute('CREATE"))
    path.write_text(f"import sqlalchemy as sa\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    sample.migrate()


def test_only_the_table_of_a_removed_model_is_dropped(books: SampleFeatures) -> None:
    write_own_code(books)
    books.metadata.remove(books.metadata.tables["library_book"])
    (draft,) = books.draft_migrations()
    assert [str(change) for change in draft.changes] == ["- Drop table library_book"]


@pytest.mark.database("sqlite", "postgresql")
def test_site_tables_are_those_of_models_and_migrations(books: SampleFeatures) -> None:
    write_own_code(books)
    with connect(books.settings) as connection:
        owners = read_applied_owners(connection, books.graph, books.metadata)
        site_tables = find_site_tables(connection, owners)
        assert find_other_tables(connection, owners) == ["library_archive", "shop_log"]
    own_tables = ["Library Notes", "library_audit", "library_book", "library_log", "library_memory"]
    assert site_tables == sorted(["alembic_version", *own_tables])


def test_moved_model_needs_no_migration(books: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(adopted_tables, "library_book", "shop")
    assert books.draft_migrations() == []
    books.declare_books(Column("code", String(9)))
    assert [draft.feature for draft in books.draft_migrations()] == ["shop"]
