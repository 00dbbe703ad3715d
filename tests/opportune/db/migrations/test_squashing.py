"""All migrations of a feature as one."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String

from opportune.cli.database import squashmigrations
from opportune.cli.database.squashmigrations import refuse_parts
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.squashing import plan_squash, write_squash
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.db.migrations.sample_features import SampleFeatures


@pytest.fixture
def books(empty_database_url: str, tmp_path: Path) -> SampleFeatures:
    """A feature with three migrations, and another that depends on the first."""
    sample = SampleFeatures(settings_for(empty_database_url), tmp_path / "versions")
    sample.table("library_book", Column("title", String(50), nullable=False))
    sample.make()
    sample.table("shop_offer", sample.pointing_at("library_book", "book_id"))
    sample.migrate()
    sample.make()
    sample.migrate()
    sample.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer))
    sample.make()
    sample.migrate()
    sample.make_by_hand("library", "op.execute('UPDATE library_book SET pages = 1')")
    return sample


def squash(sample: SampleFeatures) -> list[Path]:
    return write_squash(sample.graph, plan_squash(sample.graph, "library", sample.metadata), sample.metadata)


def test_a_database_that_has_them_all_has_the_one_and_a_new_one_gets_it(books: SampleFeatures) -> None:
    books.migrate()
    assert [path.name for path in squash(books)] == ["0001_initial.py"]
    assert [migration.name for migration in books.graph.of("library")] == ["0003_squashed"]
    assert books.migrate() == []
    assert books.drafts() == []
    books.migrate("library", "zero")
    assert books.tables() == set()
    assert books.migrate() == ["upgrade library.0003_squashed", "upgrade shop.0001_initial"]
    assert books.drafts() == []
    books.table("library_book", Column("title", String(50), nullable=False))
    assert books.make() == ["library/0004_drop_book_pages.py"]
    assert books.migrate() == ["upgrade library.0004_drop_book_pages"]
    assert books.migrate("library", "3") == ["downgrade library.0004_drop_book_pages"]


@pytest.mark.database("sqlite")
def test_a_database_that_has_some_of_them_is_refused_with_the_way_on(books: SampleFeatures) -> None:
    squash(books)
    with pytest.raises(
        OperatorError, match=r"only a part of what library.0003_squashed stands for \(library_0002_\w+\)"
    ):
        books.migrate()


@pytest.mark.database("sqlite")
def test_what_comes_between_is_named(books: SampleFeatures) -> None:
    books.table("library_shelf", books.pointing_at("shop_offer", "offer_id"))
    books.migrate()
    books.make()
    with pytest.raises(OperatorError, match=r"shop.0001_initial comes between: .* library.0004_shelf needs it"):
        squash(books)


@pytest.mark.database("sqlite")
def test_all_or_none_are_squashed_those_that_write_rows_are_named_and_one_alone_and_the_frameworks_are_left(
    books: SampleFeatures,
) -> None:
    planned = plan_squash(books.graph, "library", books.metadata)
    assert [migration.name for migration in planned.with_code] == ["0003_by_hand"]
    for ends in ([], ["3"], ["1", "3"], ["0001_initial", "0003_by_hand"]):
        refuse_parts(books.graph, "library", ends)
    for ends in (["2"], ["1", "2"], ["2", "3"]):
        with pytest.raises(OperatorError, match="Only all migrations of a feature can become one"):
            refuse_parts(books.graph, "library", ends)
    with pytest.raises(OperatorError, match="library has no migration '9'"):
        refuse_parts(books.graph, "library", ["9"])
    with pytest.raises(OperatorError, match="shop has fewer than two migrations: there is nothing to squash"):
        plan_squash(books.graph, "shop", books.metadata)
    with pytest.raises(OperatorError, match="The migrations of jobs are the framework's"):
        plan_squash(MigrationGraph(["jobs"]), "jobs", books.metadata)


def test_models_that_are_ahead_are_not_squashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squashmigrations, "collect", lambda *_arguments, **_options: ["a draft"])
    with pytest.raises(OperatorError, match="The models of jobs are ahead of their migrations"):
        squashmigrations.command("jobs")


@pytest.mark.database("sqlite")
def test_what_would_not_be_what_the_models_say_leaves_all_as_it_was(
    books: SampleFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_text() for path in books.versions.rglob("*.py")}
    planned = plan_squash(books.graph, "library", books.metadata)
    books.table("library_book", Column("title", String(50), nullable=False))
    with pytest.raises(OperatorError, match=r"Nothing was squashed: .*Drop column pages of library_book"):
        write_squash(books.graph, planned, books.metadata)
    assert {path: path.read_text() for path in books.versions.rglob("*.py")} == before

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("opportune.db.migrations.squashing.write_file", fail)
    with pytest.raises(OperatorError, match=r"Nothing was squashed: .*No space left"):
        write_squash(books.graph, planned, books.metadata)
    assert {path: path.read_text() for path in books.versions.rglob("*.py")} == before
    assert len(MigrationGraph(books.features, books.versions).ordered) == 4
