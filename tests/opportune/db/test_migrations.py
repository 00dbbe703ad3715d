import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Column, Index, Integer, String, func

from opportune.db.migrations import connection as connections
from opportune.db.migrations.autogenerate import refuse_strays
from opportune.db.migrations.graph import Tree
from opportune.db.migrations.questions import Answers
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.db.toys import Toys


@pytest.fixture
def toys(empty_database_url: str, tmp_path: Path) -> Toys:
    return Toys(settings_for(empty_database_url), tmp_path / "versions")


@pytest.fixture
def books(toys: Toys) -> Toys:
    """A feature with one table, made and migrated."""
    toys.table("library_book", Column("title", String(50), nullable=False))
    toys.make()
    toys.migrate()
    return toys


def test_the_first_migration_creates_the_tables(toys: Toys) -> None:
    toys.table("library_book", Column("title", String(50), nullable=False))
    assert toys.make() == ["library/0001_initial.py"]
    assert toys.migrate() == ["upgrade library.0001_initial"]
    assert toys.tables() == {"library_book"}


def test_what_is_made_and_migrated_leaves_nothing_to_do(books: Toys) -> None:
    assert books.drafts() == []
    assert books.migrate() == []


def test_a_migration_goes_back_and_forth(books: Toys) -> None:
    assert books.migrate("library", "zero") == ["downgrade library.0001_initial"]
    assert books.tables() == set()
    assert books.recorded() == []
    assert books.migrate() == ["upgrade library.0001_initial"]


def test_a_file_is_named_after_what_is_in_it(books: Toys) -> None:
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


def test_a_target_is_a_number_a_name_or_a_revision(books: Toys) -> None:
    books.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer))
    books.make()
    first, second = books.tree.of("library")
    for target in ("1", "0001", "0001_initial", "0001_in", first.revision):
        assert books.tree.find("library", target) == first
    assert books.migrate("library", "2") == ["upgrade library.0002_book_pages"]
    assert books.migrate("library", "1") == ["downgrade library.0002_book_pages"]
    assert books.pending() == [str(second)]


def test_an_unknown_feature_or_target_is_told_with_its_likeness(books: Toys) -> None:
    with pytest.raises(OperatorError, match=r"No feature 'libary' is installed. Did you mean library\?"):
        books.migrate("libary")
    with pytest.raises(OperatorError, match=r"no migration '0001_initail'. Did you mean 0001_initial\?"):
        books.migrate("library", "0001_initail")


@pytest.mark.parametrize(
    "fault",
    ["op.execute('nonsense')", "op.execute('INSERT INTO library_book (title) VALUES (NULL)')"],
)
def test_a_step_that_fails_leaves_the_one_before_it_whole(books: Toys, fault: str) -> None:
    books.execute("INSERT INTO library_book (title) VALUES ('Emma')")
    before = books.recorded()
    books.make_by_hand("library", f"op.create_table('library_half', sa.Column('id', sa.Integer()))\n    {fault}")
    with pytest.raises(OperatorError, match=r"library.0002_by_hand failed and was undone: "):
        books.migrate()
    assert books.tables() == {"library_book"}
    assert books.recorded() == before
    assert books.execute("SELECT title FROM library_book") == [("Emma",)]


def test_what_was_applied_before_a_failing_step_holds(toys: Toys) -> None:
    toys.table("library_book")
    toys.make()
    toys.make_by_hand("library", "op.execute('nonsense')")
    with pytest.raises(OperatorError):
        toys.migrate()
    assert toys.pending() == ["library.0002_by_hand"]
    assert toys.tables() == {"library_book"}


def test_a_table_that_points_at_another_feature_waits_for_it(toys: Toys) -> None:
    toys.table("library_book")
    toys.table("shop_offer", toys.pointing_at("library_book", "book_id"))
    toys.make()
    library, shop = toys.tree.ordered
    assert shop.depends_on == (library.revision,)
    assert toys.migrate("shop") == ["upgrade library.0001_initial", "upgrade shop.0001_initial"]
    assert toys.migrate("library", "zero") == ["downgrade shop.0001_initial", "downgrade library.0001_initial"]


def test_a_later_column_that_points_at_another_feature_waits_for_it(books: Toys) -> None:
    books.table("shop_offer")
    books.make()
    books.migrate()
    books.table("shop_offer", Column("book_id", books.metadata.tables["library_book"].c.id.type))
    books.make()
    assert books.tree.of("shop")[-1].depends_on == ()
    books.migrate()
    pointing = books.pointing_at("library_book", "other_id")
    pointing.nullable = True
    books.table("shop_offer", Column("book_id", pointing.type), pointing)
    books.make()
    assert books.tree.of("shop")[-1].depends_on == (books.tree.of("library")[0].revision,)
    books.migrate()
    assert books.drafts() == []


def test_a_table_cannot_point_at_a_feature_without_migrations(toys: Toys) -> None:
    toys.features = ("shop", "library")
    toys.table("library_book")
    toys.table("shop_offer", toys.pointing_at("library_book", "book_id"))
    with pytest.raises(OperatorError, match="shop points at library_book: run `makemigrations library` first"):
        toys.make()


def test_a_dropped_table_is_told(books: Toys) -> None:
    books.metadata.remove(books.metadata.tables["library_book"])
    (draft,) = books.drafts()
    assert [str(change) for change in draft.changes] == ["- Drop table library_book"]
    books.answers = Answers(may_drop=False)
    with pytest.raises(OperatorError, match=r"library_book any more.* If you mean to drop it, add --allow-drop"):
        books.drafts()


def test_tables_of_others_are_left_alone(books: Toys) -> None:
    books.execute("CREATE TABLE library2_book (id INTEGER)")
    books.execute("CREATE TABLE notes (id INTEGER)")
    assert books.drafts() == []


def test_a_feature_whose_name_begins_like_anothers_keeps_its_tables(toys: Toys) -> None:
    toys.features = ("shop", "shop_cart")
    toys.table("shop_cart_line")
    assert toys.make() == ["shop_cart/0001_initial.py"]


def test_a_new_column_gives_existing_rows_its_default(books: Toys) -> None:
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


def test_a_new_column_without_a_value_for_existing_rows_is_refused(books: Toys) -> None:
    books.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer, nullable=False))
    with pytest.raises(OperatorError, match=r"library_book\.pages may not be empty and has no default"):
        books.drafts()


def test_what_is_pending_is_named_in_the_order_to_apply_it(toys: Toys) -> None:
    toys.table("library_book")
    toys.table("shop_offer", toys.pointing_at("library_book", "book_id"))
    toys.make()
    assert toys.pending() == ["library.0001_initial", "shop.0001_initial"]


def test_the_files_of_a_feature_can_be_deleted(toys: Toys) -> None:
    toys.table("library_book")
    toys.table("shop_offer", toys.pointing_at("library_book", "book_id"))
    toys.make()
    toys.migrate()
    rest = Toys(toys.settings, toys.versions, ("library",))
    rest.table("library_book")
    assert rest.pending() == []
    assert len(rest.tree.unknown(rest.recorded()).removed) == 1
    rest.table("library_book", Column("pages", Integer))
    rest.make()
    assert rest.migrate() == ["upgrade library.0002_book_pages"]
    assert toys.pending() == []


def test_a_database_that_a_newer_version_has_migrated_is_refused(books: Toys) -> None:
    books.tree.of("library")[0].path.rename(books.versions / "0001_initial.py")
    with pytest.raises(OperatorError, match="The database has migrations that this code lacks"):
        books.migrate()


def test_two_last_migrations_are_told_with_the_way_out(books: Toys) -> None:
    for name in ("0002_mine.py", "0002_yours.py"):
        path = books.make_by_hand("library", "pass")
        path.rename(books.versions / name)
    for path in books.versions.glob("*.py"):
        path.rename(books.versions / "library" / path.name)
    with pytest.raises(OperatorError, match="Two migrations of library are the last: 0002_mine and 0002_yours"):
        books.migrate()


def test_processes_that_migrate_at_once_do_it_once(toys: Toys) -> None:
    toys.table("library_book")
    toys.table("shop_offer", toys.pointing_at("library_book", "book_id"))
    toys.make()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        runs = [processes.submit(toys.migrate) for _ in range(2)]
    taken = [step for run in runs for step in run.result()]
    assert sorted(taken) == ["upgrade library.0001_initial", "upgrade shop.0001_initial"]


def test_threads_that_migrate_at_once_do_it_once(toys: Toys) -> None:
    toys.table("library_book")
    toys.make()
    with ThreadPoolExecutor(3) as threads:
        runs = [threads.submit(toys.migrate) for _ in range(3)]
    assert [step for run in runs for step in run.result()] == ["upgrade library.0001_initial"]


def test_another_process_is_waited_for_no_longer_than_is_bearable(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.table("library_book")
    toys.make()
    monkeypatch.setattr(connections, "WAIT_FOR_OTHERS", 0.05)
    with connections.connect(toys.settings) as other:
        other.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with other.begin():
            connections.take_lock(other)
            with pytest.raises(OperatorError, match=r"another process|Another process"):
                toys.migrate()
    assert toys.tables() == set()


def test_a_table_that_no_feature_owns_is_told(toys: Toys) -> None:
    toys.table("book")
    with pytest.raises(OperatorError, match="No feature owns the table 'book'"):
        refuse_strays(toys.features, toys.metadata)


async def test_migrations_run_inside_a_running_loop(toys: Toys) -> None:
    toys.table("library_book")
    toys.make()
    assert toys.migrate() == ["upgrade library.0001_initial"]
    assert await asyncio.to_thread(toys.migrate, "library", "zero") == ["downgrade library.0001_initial"]


def test_an_index_on_an_expression_is_made_kept_and_dropped(books: Toys) -> None:
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


def test_a_step_that_leaves_rows_pointing_at_nothing_is_undone(toys: Toys) -> None:
    toys.table("library_book")
    toys.table("library_page", toys.pointing_at("library_book", "book_id"))
    toys.make()
    toys.migrate()
    toys.execute("INSERT INTO library_book (id) VALUES (1)")
    toys.execute("INSERT INTO library_page (id, book_id) VALUES (1, 1)")
    toys.make_by_hand("library", "op.execute('DELETE FROM library_book')")
    with pytest.raises(OperatorError, match=r"library.0002_by_hand .*undone"):
        toys.migrate()
    assert toys.execute("SELECT count(*) FROM library_book") == [(1,)]


def test_a_file_that_is_no_migration_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "0001_initial.py").write_text("revision = open('x')\n")
    with pytest.raises(OperatorError, match=r"0001_initial.py is not a migration"):
        Tree(["library"], tmp_path)
