"""Merging several last migrations of a feature, and squashing all into one."""

from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import Column, Integer, String

from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.merging import refuse_conflicts, write_merge
from opportune.db.migrations.squashing import plan_squash, write_squash
from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures


@pytest.fixture
def books(sample: SampleFeatures) -> SampleFeatures:
    """A feature with three migrations, and another that depends on the first."""
    sample.declare_books()
    sample.make_migrations()
    sample.table("shop_offer", sample.foreign_key("library_book", "book_id"))
    sample.migrate()
    sample.migrate_models()
    sample.declare_books(Column("pages", Integer))
    sample.migrate_models()
    sample.write_migration("library", "op.execute('UPDATE library_book SET pages = 1')")
    return sample


def squash(sample: SampleFeatures) -> list[Path]:
    return write_squash(sample.graph, plan_squash(sample.graph, "library", sample.metadata), sample.metadata)


def test_squashed_migration_replaces_all(books: SampleFeatures) -> None:
    books.migrate()
    assert [path.name for path in squash(books)] == ["0001_initial.py"]
    assert [migration.name for migration in books.graph.migrations_of("library")] == ["0003_squashed"]
    assert books.migrate() == []
    assert books.draft_migrations() == []
    books.migrate("library", "zero")
    assert books.read_tables() == set()
    assert books.migrate() == ["upgrade library.0003_squashed", "upgrade shop.0001_initial"]
    assert books.draft_migrations() == []
    books.declare_books()
    assert books.make_migrations() == ["library/0004_drop_book_pages.py"]
    assert books.migrate() == ["upgrade library.0004_drop_book_pages"]
    assert books.migrate("library", "3") == ["downgrade library.0004_drop_book_pages"]


def test_partly_migrated_database_is_refused(books: SampleFeatures) -> None:
    squash(books)
    books.write_migration("library", "op.execute('UPDATE library_book SET pages = 2')")
    squash(books)
    message = r"only some migrations that library.0004_squashed replaces \(library_0002_\w+\)"
    with pytest.raises(OperatorError, match=message):
        books.migrate()


def test_migration_in_between_prevents_squashing(books: SampleFeatures) -> None:
    books.table("library_shelf", books.foreign_key("shop_offer", "offer_id"))
    books.migrate()
    books.make_migrations()
    with pytest.raises(OperatorError, match=r"shop.0001_initial must run between them: .* library.0004_shelf needs it"):
        squash(books)


def test_failed_squash_restores_files(books: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_text() for path in books.versions.rglob("*.py")}
    planned = plan_squash(books.graph, "library", books.metadata)
    books.declare_books()
    with pytest.raises(OperatorError, match=r"Nothing was squashed: .*Drop column pages of library_book"):
        write_squash(books.graph, planned, books.metadata)
    assert {path: path.read_text() for path in books.versions.rglob("*.py")} == before
    fail = Mock(side_effect=OSError(28, "No space left on device"))
    for name in ("write_file", "_replace_revisions"):
        with monkeypatch.context() as patch:
            patch.setattr(f"opportune.db.migrations.squashing.{name}", fail)
            with pytest.raises(OperatorError, match=r"Nothing was squashed: .*No space left"):
                write_squash(books.graph, planned, books.metadata)
        assert {path: path.read_text() for path in books.versions.rglob("*.py")} == before
    assert len(MigrationGraph(books.features, books.versions).ordered) == 4


TITLE = """with op.batch_alter_table('library_book') as batch_op:
        batch_op.add_column(sa.Column('{}', sa.Integer()))"""


def declare_books(sample: SampleFeatures) -> None:
    sample.table("library_book", Column("title", String(50)))


@pytest.fixture
def branches(make_sample: MakeSample) -> SampleFeatures:
    """A feature with two branches, of which one adds pages and the other a price."""
    return with_branches(make_sample(declare_books), "pages", "price")


def with_branches(sample: SampleFeatures, mine: str, yours: str) -> SampleFeatures:
    paths = []
    for name, column in (("0002_mine.py", mine), ("0002_yours.py", yours)):
        path = sample.write_migration("library", TITLE.format(column))
        paths.append(path.rename(sample.versions / name))
    for path in paths:
        path.rename(sample.versions / "library" / path.name)
    return sample


def merge(sample: SampleFeatures) -> Path:
    refuse_conflicts(sample.graph, "library")
    return write_merge(sample.graph, "library")


def test_merge_follows_both_branches(branches: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match=r"0002_mine and 0002_yours\. .* makemigrations library --merge"):
        branches.migrate()
    merge(branches)
    steps = ["library.0002_mine", "library.0002_yours", "library.0003_merge_mine_yours"]
    assert branches.migrate() == [f"upgrade {step}" for step in steps]
    assert branches.migrate("library", "1") == [f"downgrade {step}" for step in reversed(steps)]


def test_branches_that_change_one_column_are_refused(make_sample: MakeSample) -> None:
    sample = with_branches(make_sample(declare_books), "pages", "pages")
    with pytest.raises(OperatorError, match=r"0002_mine and 0002_yours both change library_book\.pages"):
        merge(sample)
