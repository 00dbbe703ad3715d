"""Merging several last migrations of a feature, and squashing all into one."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String

from opportune.cli.database import squashmigrations
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.merging import refuse_conflicts, write_merge
from opportune.db.migrations.squashing import plan_squash, write_squash
from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures


@pytest.fixture
def books(sample: SampleFeatures) -> SampleFeatures:
    """A feature with three migrations, and another that depends on the first."""
    sample.table("library_book", Column("title", String(50), nullable=False))
    sample.make_migrations()
    sample.table("shop_offer", sample.foreign_key("library_book", "book_id"))
    sample.migrate()
    sample.migrate_models()
    sample.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer))
    sample.migrate_models()
    sample.write_migration("library", "op.execute('UPDATE library_book SET pages = 1')")
    return sample


def squash(sample: SampleFeatures) -> list[Path]:
    return write_squash(sample.graph, plan_squash(sample.graph, "library", sample.metadata), sample.metadata)


@pytest.mark.database("sqlite", "postgresql")
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
    books.table("library_book", Column("title", String(50), nullable=False))
    assert books.make_migrations() == ["library/0004_drop_book_pages.py"]
    assert books.migrate() == ["upgrade library.0004_drop_book_pages"]
    assert books.migrate("library", "3") == ["downgrade library.0004_drop_book_pages"]


def test_squash_has_all_dependencies(sample: SampleFeatures) -> None:
    others = [f"feature{number}" for number in range(6)]
    sample.features = (*others, "library")
    keys = [sample.foreign_key(sample.table(f"{name}_item").name, f"{name}_id") for name in others]
    sample.table("library_book", *keys)
    sample.make_migrations()
    sample.write_migration("library", "pass")
    squash(sample)
    (squashed,) = sample.graph.migrations_of("library")
    assert (len(squashed.depends_on), len(squashed.replaces)) == (6, 1)


def test_partly_migrated_database_is_refused(books: SampleFeatures) -> None:
    squash(books)
    with pytest.raises(
        OperatorError, match=r"only some migrations that library.0003_squashed replaces \(library_0002_\w+\)"
    ):
        books.migrate()


def test_migration_in_between_prevents_squashing(books: SampleFeatures) -> None:
    books.table("library_shelf", books.foreign_key("shop_offer", "offer_id"))
    books.migrate()
    books.make_migrations()
    with pytest.raises(OperatorError, match=r"shop.0001_initial must run between them: .* library.0004_shelf needs it"):
        squash(books)


def test_migrations_with_code_are_listed(books: SampleFeatures) -> None:
    planned = plan_squash(books.graph, "library", books.metadata)
    assert [migration.name for migration in planned.migrations_with_code] == ["0003_by_hand"]


def test_single_and_framework_migrations_are_refused(books: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match="shop has fewer than two migrations"):
        plan_squash(books.graph, "shop", books.metadata)
    with pytest.raises(OperatorError, match="The migrations of jobs belong to the framework"):
        plan_squash(MigrationGraph(["jobs"]), "jobs", books.metadata)


def test_models_must_match_before_squashing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squashmigrations, "draft_migrations", lambda *_arguments, **_options: ["a draft"])
    with pytest.raises(OperatorError, match="The models of jobs have changes without migrations"):
        squashmigrations.command("jobs")


def test_failed_squash_restores_files(books: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_text() for path in books.versions.rglob("*.py")}
    planned = plan_squash(books.graph, "library", books.metadata)
    books.table("library_book", Column("title", String(50), nullable=False))
    with pytest.raises(OperatorError, match=r"Nothing was squashed: .*Drop column pages of library_book"):
        write_squash(books.graph, planned, books.metadata)
    assert {path: path.read_text() for path in books.versions.rglob("*.py")} == before

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("write_file", "_replace_revisions"):
        with monkeypatch.context() as patch:
            patch.setattr(f"opportune.db.migrations.squashing.{name}", fail)
            with pytest.raises(OperatorError, match=r"Nothing was squashed: .*No space left"):
                write_squash(books.graph, planned, books.metadata)
        assert {path: path.read_text() for path in books.versions.rglob("*.py")} == before
    assert len(MigrationGraph(books.features, books.versions).ordered) == 4


def test_replacement_may_have_the_name_of_a_replaced_file(books: SampleFeatures) -> None:
    newest = max((books.versions / "library").glob("*.py"))
    newest.rename(newest.with_name("0003_squashed.py"))
    books.migrate()
    squash(books)
    assert [path.name for path in (books.versions / "library").glob("*.py")] == ["0003_squashed.py"]
    books.migrate()
    assert books.draft_migrations() == []


TITLE = (
    "with op.batch_alter_table('library_book') as batch_op:\n        batch_op.add_column(sa.Column('{}', sa.Integer()))"
)


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


@pytest.mark.database("sqlite", "postgresql")
def test_merge_follows_both_branches(branches: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match=r"0002_mine and 0002_yours\. .* makemigrations library --merge"):
        branches.migrate()
    merge(branches)
    steps = ["library.0002_mine", "library.0002_yours", "library.0003_merge_mine_yours"]
    assert branches.migrate() == [f"upgrade {step}" for step in steps]
    assert branches.migrate("library", "1") == [f"downgrade {step}" for step in reversed(steps)]


def test_database_of_one_branch_catches_up(branches: SampleFeatures) -> None:
    path = branches.versions / "library" / "0002_yours.py"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    branches.migrate()
    path.write_text(text, encoding="utf-8")
    merge(branches)
    assert branches.migrate() == ["upgrade library.0002_yours", "upgrade library.0003_merge_mine_yours"]


def test_next_migration_follows_the_merge(branches: SampleFeatures) -> None:
    merge(branches)
    branches.migrate()
    branches.table(
        "library_book", *(Column(name, Integer) for name in ("pages", "price", "year")), Column("title", String(50))
    )
    assert branches.make_migrations() == ["library/0004_book_year.py"]
    assert branches.migrate() == ["upgrade library.0004_book_year"]


def test_branches_that_change_one_column_are_refused(make_sample: MakeSample) -> None:
    sample = with_branches(make_sample(declare_books), "pages", "pages")
    with pytest.raises(OperatorError, match=r"0002_mine and 0002_yours both change library_book\.pages"):
        merge(sample)
