from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import produce_migrations
from sqlalchemy import Column, Index, Integer, String, func

from opportune.db.migrations import autogenerate
from opportune.db.migrations import connection as connections
from opportune.db.migrations.autogenerate import refuse_unowned_tables
from opportune.db.migrations.graph import MigrationGraph, read_migration
from opportune.db.migrations.questions import Choices
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.db.conftest import Begin
from tests.opportune.db.migrations.sample_features import SampleFeatures
from tests.opportune.forked import PROCESSES

on_one = pytest.mark.database("sqlite")
"""What is done to files, and asks a database nothing that another kind would answer differently."""


@pytest.fixture
def sample(empty_database_url: str, kept_engines: None, tmp_path: Path) -> SampleFeatures:
    return SampleFeatures(settings_for(empty_database_url), tmp_path / "versions")


@pytest.fixture
def books(begin: Begin) -> SampleFeatures:
    """A feature with one table, made and migrated."""
    return begin(declare)


def declare(sample: SampleFeatures) -> None:
    sample.table("library_book", Column("title", String(50), nullable=False))


@on_one
def test_features_whose_models_ask_for_nothing_are_compared_all_at_once(
    sample: SampleFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[object] = []

    def note(*given: Any) -> object:
        compared.append(given)
        return produce_migrations(*given)

    monkeypatch.setattr(autogenerate, "produce_migrations", note)
    sample.table("library_book", Column("title", String(50)))
    sample.table("shop_order", sample.pointing_at("library_book", "book_id"))
    assert sample.make() == ["library/0001_initial.py", "shop/0001_initial.py"]
    assert len(compared) == 3
    sample.migrate()
    compared.clear()
    assert sample.make() == []
    assert len(compared) == 1


@on_one
def test_a_migration_goes_back_and_forth_and_then_nothing_is_left_to_do(books: SampleFeatures) -> None:
    assert [path.name for path in (books.versions / "library").glob("0*.py")] == ["0001_initial.py"]
    assert books.tables() == {"library_book"}
    assert books.migrate() == []
    assert books.migrate("library", "zero") == ["downgrade library.0001_initial"]
    assert books.tables() == set()
    assert books.recorded() == []
    assert books.migrate() == ["upgrade library.0001_initial"]
    assert books.drafts() == []


@on_one
def test_a_file_is_named_after_what_is_in_it(books: SampleFeatures) -> None:
    books.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer))
    assert books.make() == ["library/0002_book_pages.py"]
    books.migrate()
    books.table("library_book", Column("title", String(80), nullable=False))
    books.table("library_shelf")
    (draft,) = books.drafts()
    assert draft.name == "0003_shelf_and_more"
    assert {str(change) for change in draft.changes} == {
        "+ Create table library_shelf",
        "- Drop column pages of library_book",
        "~ Alter column title of library_book",
    }


@on_one
def test_a_target_is_a_number_a_name_or_a_revision(books: SampleFeatures) -> None:
    books.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer))
    books.make()
    first, second = books.graph.of("library")
    for target in ("1", "0001", "0001_initial", "0001_in", first.revision):
        assert books.graph.find("library", target) == first
    assert books.migrate("library", "2") == ["upgrade library.0002_book_pages"]
    assert books.migrate("library", "1") == ["downgrade library.0002_book_pages"]
    assert books.pending() == [str(second)]


@on_one
def test_an_unknown_feature_or_target_is_told_with_its_likeness(books: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match=r"No feature 'libary' is installed. Did you mean library\?"):
        books.migrate("libary")
    with pytest.raises(OperatorError, match=r"no migration '0001_initail'. Did you mean 0001_initial\?"):
        books.migrate("library", "0001_initail")


def test_a_step_that_fails_is_undone_whole_and_leaves_the_one_before_it(sample: SampleFeatures) -> None:
    sample.table("library_book", Column("title", String(50), nullable=False))
    sample.make()
    for fault in ("nonsense", "INSERT INTO library_book (title) VALUES (NULL)"):  # the second is tried by itself
        path = sample.make_by_hand(
            "library", f"op.create_table('library_half', sa.Column('id', sa.Integer()))\n    op.execute('{fault}')"
        )
        with pytest.raises(OperatorError, match=r"library.0002_by_hand failed and was undone: "):
            sample.migrate()
        assert sample.pending() == ["library.0002_by_hand"]
        assert sample.tables() == {"library_book"}
        path.unlink()
        if fault == "nonsense":
            sample.execute("INSERT INTO library_book (title) VALUES ('Emma')")
    assert sample.execute("SELECT title FROM library_book") == [("Emma",)]


@on_one
def test_a_table_that_points_at_another_feature_waits_for_it(sample: SampleFeatures) -> None:
    sample.table("library_book")
    sample.table("shop_offer", sample.pointing_at("library_book", "book_id"))
    sample.make()
    library, shop = sample.graph.ordered
    assert shop.depends_on == (library.revision,)
    assert sample.migrate("shop") == ["upgrade library.0001_initial", "upgrade shop.0001_initial"]
    assert sample.migrate("library", "zero") == ["downgrade shop.0001_initial", "downgrade library.0001_initial"]


@on_one
def test_a_later_column_that_points_at_another_feature_waits_for_it(books: SampleFeatures) -> None:
    books.table("shop_offer")
    books.make()
    assert books.graph.of("shop")[-1].depends_on == ()
    books.migrate()
    pointing = books.pointing_at("library_book", "book_id")
    pointing.nullable = True
    books.table("shop_offer", pointing)
    books.make()
    assert books.graph.of("shop")[-1].depends_on == (books.graph.of("library")[0].revision,)
    books.migrate()
    assert books.drafts() == []


@on_one
def test_a_table_cannot_point_at_a_feature_without_migrations(sample: SampleFeatures) -> None:
    sample.features = ("shop", "library")
    sample.table("library_book")
    sample.table("shop_offer", sample.pointing_at("library_book", "book_id"))
    with pytest.raises(OperatorError, match="shop points at library_book: run `makemigrations library` first"):
        sample.make()


@on_one
def test_a_dropped_table_is_told(books: SampleFeatures) -> None:
    books.metadata.remove(books.metadata.tables["library_book"])
    (draft,) = books.drafts()
    assert [str(change) for change in draft.changes] == ["- Drop table library_book"]
    books.choices = Choices(may_drop=False)
    with pytest.raises(OperatorError, match=r"library_book any more.* If you mean to drop it, add --allow-drop"):
        books.drafts()


@on_one
def test_tables_of_others_are_left_alone(books: SampleFeatures) -> None:
    books.execute("CREATE TABLE library2_book (id INTEGER)")
    books.execute("CREATE TABLE notes (id INTEGER)")
    assert books.drafts() == []


@on_one
def test_a_feature_whose_name_begins_like_anothers_keeps_its_tables(sample: SampleFeatures) -> None:
    sample.features = ("shop", "shop_cart")
    sample.table("shop_cart_line")
    assert sample.make() == ["shop_cart/0001_initial.py"]


@on_one
def test_a_new_column_gives_existing_rows_its_default(books: SampleFeatures) -> None:
    books.execute("INSERT INTO library_book (title) VALUES ('Emma')")
    title = Column("title", String(50), nullable=False)
    books.table(
        "library_book",
        title,
        Column("pages", Integer, nullable=False, default=7),
        Column("shelf", String(9), nullable=False, default=lambda: "it's A"),
    )
    books.make()
    books.migrate()
    assert books.execute("SELECT title, pages, shelf FROM library_book") == [("Emma", 7, "it's A")]
    assert books.drafts() == []
    assert books.migrate("library", "1") == ["downgrade library.0002_book_pages_and_more"]


@on_one
def test_a_new_column_without_a_value_for_existing_rows_is_refused(books: SampleFeatures) -> None:
    books.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer, nullable=False))
    with pytest.raises(OperatorError, match=r"library_book\.pages may not be empty and has no default"):
        books.drafts()


@on_one
def test_what_is_pending_is_named_in_the_order_to_apply_it(sample: SampleFeatures) -> None:
    sample.table("library_book")
    sample.table("shop_offer", sample.pointing_at("library_book", "book_id"))
    sample.make()
    assert sample.pending() == ["library.0001_initial", "shop.0001_initial"]


@on_one
def test_the_files_of_a_feature_can_be_deleted(sample: SampleFeatures) -> None:
    sample.table("library_book")
    sample.table("shop_offer", sample.pointing_at("library_book", "book_id"))
    sample.make()
    sample.migrate()
    rest = SampleFeatures(sample.settings, sample.versions, ("library",))
    rest.table("library_book")
    assert rest.pending() == []
    assert len(rest.graph.unknown(rest.recorded()).removed) == 1
    rest.table("library_book", Column("pages", Integer))
    rest.make()
    assert rest.migrate() == ["upgrade library.0002_book_pages"]
    assert sample.pending() == []


@on_one
def test_a_database_that_a_newer_version_has_migrated_is_refused(books: SampleFeatures) -> None:
    books.graph.of("library")[0].path.rename(books.versions / "0001_initial.py")
    with pytest.raises(OperatorError, match="The database has migrations that this code lacks"):
        books.migrate()


@on_one
def test_two_last_migrations_are_told_with_the_way_out(books: SampleFeatures) -> None:
    for name in ("0002_mine.py", "0002_yours.py"):
        path = books.make_by_hand("library", "pass")
        path.rename(books.versions / name)
    for path in books.versions.glob("*.py"):
        path.rename(books.versions / "library" / path.name)
    with pytest.raises(OperatorError, match="Two migrations of library are the last: 0002_mine and 0002_yours"):
        books.migrate()


def test_processes_that_migrate_at_once_do_it_once(sample: SampleFeatures) -> None:
    sample.table("library_book")
    sample.table("shop_offer", sample.pointing_at("library_book", "book_id"))
    sample.make()
    with ProcessPoolExecutor(2, PROCESSES) as processes:
        runs = [processes.submit(sample.migrate) for _ in range(2)]
    taken = [step for run in runs for step in run.result()]
    assert sorted(taken) == ["upgrade library.0001_initial", "upgrade shop.0001_initial"]


@on_one
def test_threads_that_migrate_at_once_do_it_once(sample: SampleFeatures) -> None:
    sample.table("library_book")
    sample.make()
    with ThreadPoolExecutor(3) as threads:
        runs = [threads.submit(sample.migrate) for _ in range(3)]
    assert [step for run in runs for step in run.result()] == ["upgrade library.0001_initial"]


def test_another_process_is_waited_for_no_longer_than_is_bearable(
    sample: SampleFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample.table("library_book")
    sample.make()
    monkeypatch.setattr(connections, "MIGRATION_LOCK_TIMEOUT_SECONDS", 0.05)
    with connections.connect(sample.settings) as other:
        other.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with other.begin():
            connections.acquire_migration_lock(other)
            with pytest.raises(OperatorError, match=r"another process|Another process"):
                sample.migrate()
    assert sample.tables() == set()


@on_one
def test_a_table_that_no_feature_owns_is_told(sample: SampleFeatures) -> None:
    sample.table("book")
    with pytest.raises(OperatorError, match="No feature owns the table 'book'"):
        refuse_unowned_tables(sample.features, sample.metadata)


@on_one
def test_a_table_of_an_uninstalled_framework_feature_names_the_import_to_add(sample: SampleFeatures) -> None:
    sample.table("answers_answer")
    with pytest.raises(
        OperatorError, match=r"installed\.py lacks: from opportune\.features import choices, and list it"
    ):
        refuse_unowned_tables(sample.features, sample.metadata)


def test_an_index_on_an_expression_is_made_kept_and_dropped(books: SampleFeatures) -> None:
    table = books.metadata.tables["library_book"]
    Index("ix_library_book_lower", func.lower(table.c.title), unique=True)
    books.make()
    books.migrate()
    assert books.drafts() == []
    longer = books.table("library_book", Column("title", String(80), nullable=False))
    Index("ix_library_book_lower", func.lower(longer.c.title), unique=True)
    books.make()
    books.migrate()
    assert books.drafts() == []
    books.execute("INSERT INTO library_book (title) VALUES ('Emma')")
    with pytest.raises(Exception, match=r"(?i)unique"):
        books.execute("INSERT INTO library_book (title) VALUES ('EMMA')")
    books.table("library_book", Column("title", String(80), nullable=False))
    books.make()
    books.migrate()
    books.execute("INSERT INTO library_book (title) VALUES ('EMMA')")


@on_one  # the other kind refuses the step itself
def test_a_step_that_leaves_rows_pointing_at_nothing_is_undone(sample: SampleFeatures) -> None:
    sample.table("library_book")
    sample.table("library_page", sample.pointing_at("library_book", "book_id"))
    sample.make()
    sample.migrate()
    sample.execute("INSERT INTO library_book (id) VALUES (1)")
    sample.execute("INSERT INTO library_page (id, book_id) VALUES (1, 1)")
    sample.make_by_hand("library", "op.execute('DELETE FROM library_book')")
    with pytest.raises(OperatorError, match=r"library.0002_by_hand .*undone"):
        sample.migrate()
    assert sample.execute("SELECT count(*) FROM library_book") == [(1,)]


def test_a_file_that_is_no_migration_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "0001_initial.py").write_text("revision = open('x')\n")
    with pytest.raises(OperatorError, match=r"0001_initial.py is not a migration"):
        MigrationGraph(["library"], tmp_path)


@pytest.mark.parametrize("first", ["", "@decorated\n"])
def test_what_a_migration_says_of_itself_may_stand_after_its_steps(tmp_path: Path, first: str) -> None:
    path = tmp_path / "0001_initial.py"
    path.write_text(f"{first}def upgrade(): ...\n\n\n{first}def downgrade(): ...\n\n\nrevision = 'library_0001'\n")
    assert read_migration(path).revision == "library_0001"
