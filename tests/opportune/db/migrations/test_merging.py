"""Merge of two last migrations of a feature."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String

from opportune.db.migrations.combining import refuse_conflicts, write_merge
from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

TITLE = (
    "with op.batch_alter_table('library_book') as batch_op:\n        batch_op.add_column(sa.Column('{}', sa.Integer()))"
)


def declare(sample: SampleFeatures) -> None:
    sample.table("library_book", Column("title", String(50)))


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """A feature with two branches, of which one adds pages and the other a price."""
    return with_branches(make_sample(declare), "pages", "price")


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


@pytest.mark.database("sqlite", "postgresql")
def test_merge_follows_both_branches(books: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match=r"0002_mine and 0002_yours\. .* makemigrations library --merge"):
        books.migrate()
    merge(books)
    steps = ["library.0002_mine", "library.0002_yours", "library.0003_merge_mine_yours"]
    assert books.migrate() == [f"upgrade {step}" for step in steps]
    assert books.migrate("library", "1") == [f"downgrade {step}" for step in reversed(steps)]


def test_database_of_one_branch_catches_up(books: SampleFeatures) -> None:
    path = books.versions / "library" / "0002_yours.py"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    books.migrate()
    path.write_text(text, encoding="utf-8")
    merge(books)
    assert books.migrate() == ["upgrade library.0002_yours", "upgrade library.0003_merge_mine_yours"]


def test_next_migration_follows_the_merge(books: SampleFeatures) -> None:
    merge(books)
    books.migrate()
    books.table(
        "library_book", *(Column(name, Integer) for name in ("pages", "price", "year")), Column("title", String(50))
    )
    assert books.make_migrations() == ["library/0004_book_year.py"]
    assert books.migrate() == ["upgrade library.0004_book_year"]


def test_branches_that_change_one_column_are_refused(make_sample: MakeSample) -> None:
    sample = with_branches(make_sample(declare), "pages", "pages")
    with pytest.raises(OperatorError, match=r"0002_mine and 0002_yours both change library_book\.pages"):
        merge(sample)
