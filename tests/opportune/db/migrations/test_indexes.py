"""Indexes with orders, collations, conditions and expressions: comparison, changes and copies of tables."""

from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import Boolean, Column, Index, Integer, String, Table, desc, func, text

from opportune.db.models.partial_index import PartialIndex
from tests.opportune.db.migrations.sample_features import SampleFeatures

pytestmark = pytest.mark.database("sqlite", "postgresql")

QUERIES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE name LIKE 'own%%'",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'own%%'",
}

DeclareIndexes = Callable[[Table, str], list[Index]]
Declare = Callable[[DeclareIndexes, int], None]


def declare_indexes(table: Table, collation: str) -> list[Index]:
    columns, is_new = table.c, table.c.is_new.is_(True)
    return [
        Index("own_text", text("pages DESC")),
        Index("own_order", columns.title, desc("pages")),
        Index("own_nulls_last", columns.pages.desc().nulls_last()),
        Index("own_nulls_first", columns.pages.asc().nulls_first(), func.lower(columns.title).desc(), unique=True),
        Index("own_collation", columns.title.collate(collation), columns.pages.desc()),
        Index("own_text_collation", text(f'title COLLATE "{collation}" DESC')),
        Index("own_operators", columns.title + "x:y", text("(CASE WHEN pages > 1 THEN 1 END)")),
        Index("own_boolean", columns.pages, sqlite_where=is_new, postgresql_where=is_new),
        PartialIndex("own_partial", desc("pages"), where="title > ' where ('\nAND pages > 3", unique=True),
    ]


def declare_other_indexes(table: Table, _collation: str) -> list[Index]:
    """Return indexes of the same names that differ in one property each."""
    columns, is_new = table.c, table.c.is_new.is_(True)
    return [
        Index("own_text", text("pages")),
        Index("own_order", columns.title, columns.pages),
        Index("own_nulls_last", columns.pages),
        Index("own_nulls_first", columns.pages.asc().nulls_first(), func.lower(columns.title), unique=True),
        Index("own_collation", columns.title, columns.pages.desc()),
        Index("own_text_collation", columns.title.desc()),
        Index("own_operators", columns.title + "z", text("(CASE WHEN pages > 1 THEN 1 END)")),
        Index("own_boolean", columns.pages, unique=True, sqlite_where=is_new, postgresql_where=is_new),
        PartialIndex("own_partial", desc("pages"), where="title > ' where ('\nAND pages > 3"),
    ]


@pytest.fixture
def declare(sample: SampleFeatures, database_kind: str) -> Declare:
    def declare(indexes: DeclareIndexes, title_length: int) -> None:
        columns = Column("title", String(title_length)), Column("pages", Integer), Column("is_new", Boolean)
        table = sample.table("library_book", *columns)
        for index in indexes(table, {"sqlite": "NOCASE", "postgresql": "C"}[database_kind]):
            if index.table is None:
                table.append_constraint(index)

    return declare


def read_indexes(sample: SampleFeatures, database_kind: str) -> Mapping[str, str]:
    return {str(name): " ".join(str(sql).split()) for name, sql in sample.execute(QUERIES[database_kind])}


def test_indexes_are_stable_and_survive_a_copy(sample: SampleFeatures, database_kind: str, declare: Declare) -> None:
    declare(declare_indexes, 50)
    sample.migrate_models()
    assert sample.draft_migrations() == []
    created = read_indexes(sample, database_kind)
    declare(declare_indexes, 80)
    assert sample.make_migrations() == ["library/0002_alter_book_title.py"]
    sample.migrate()
    assert read_indexes(sample, database_kind) == created
    assert sample.draft_migrations() == []


def test_changed_indexes_are_replaced(sample: SampleFeatures, database_kind: str, declare: Declare) -> None:
    declare(declare_indexes, 50)
    sample.migrate_models()
    created = read_indexes(sample, database_kind)
    declare(declare_other_indexes, 80)
    sample.migrate_models()
    assert sample.draft_migrations() == []
    changed = read_indexes(sample, database_kind)
    assert [name for name in created if changed[name] == created[name]] == []
    sample.migrate("library", "1")
    assert read_indexes(sample, database_kind) == created
