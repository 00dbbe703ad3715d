"""Migrations: drafts, plans, dependencies, failures, locks, and databases of 0.2."""

from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from alembic.operations import ops
from sqlalchemy import Boolean, CheckConstraint, Column, ColumnElement, ForeignKey, Integer, String, column, text, true

from opportune.db.migrations import locks, new_migration, runner
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.new_migration import NewMigration, create_empty_migration, write_migration
from opportune.db.migrations.ownership import refuse_unowned_tables
from opportune.errors import OperatorError
from opportune.project.installed import installed_features
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures
from tests.opportune.forked import PROCESSES
from tests.opportune.full_disk import files_no_larger_than


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """A migrated feature with one table."""
    return make_sample(SampleFeatures.declare_books)


@pytest.fixture
def offers(sample: SampleFeatures) -> SampleFeatures:
    """A feature whose table another feature references, with migrations that have not run."""
    sample.table("library_book")
    sample.table("shop_offer", sample.foreign_key("library_book", "book_id"))
    sample.make_migrations()
    return sample


def test_file_is_named_after_its_changes(books: SampleFeatures) -> None:
    books.declare_books(Column("pages", Integer))
    assert books.make_migrations() == ["library/0002_book_pages.py"]
    books.migrate()
    books.table("library_book", Column("title", String(80), nullable=False))
    books.table("library_shelf")
    (draft,) = books.draft_migrations()
    assert draft.name == "0003_shelf_and_more"
    table, columns = "+ Create table library_shelf", ("- Drop column pages", "~ Alter column title")
    assert {str(change) for change in draft.changes} == {table, *(f"{change} of library_book" for change in columns)}


@pytest.mark.database("sqlite", "postgresql")
def test_changed_check_is_replaced(sample: SampleFeatures) -> None:
    literals = (r"title <> 'a%\:b\:c'", r"title <> '[[\:alpha\:]]'")
    for rule in ("price > 0", "price > 1", *literals, "price IN (1, 2)", "price < pages"):
        pages = [Column("pages", Integer)] if "pages" in rule else []
        sample.declare_books(Column("price", Integer), *pages, CheckConstraint(text(rule), name="rule"))
        assert len(sample.make_migrations()) == 1
        sample.migrate()
        assert sample.make_migrations() == []


@pytest.mark.database("sqlite", "postgresql")
def test_check_in_another_form_is_no_change(sample: SampleFeatures) -> None:
    for rule in ("price > 0 AND title <> ''", "( Price >0 and title  <> '')"):
        sample.declare_books(Column("price", Integer), CheckConstraint(rule, name="rule"))
        sample.migrate_models()
    assert sample.read_revisions() == [sample.graph.ordered[0].revision]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("condition", [column("sold") == true(), ~column("sold", Boolean)])
def test_check_of_a_boolean_works_on_both_databases(sample: SampleFeatures, condition: ColumnElement[bool]) -> None:
    sample.declare_books(Column("sold", Boolean), CheckConstraint(condition, name="rule"))
    sample.migrate_models()
    assert sample.make_migrations() == []


@pytest.mark.database("sqlite", "postgresql")
def test_failed_check_names_the_next_step(books: SampleFeatures) -> None:
    books.execute("INSERT INTO library_book (title) VALUES ('')")
    books.declare_books(CheckConstraint("title <> ''", name="title"))
    books.make_migrations()
    with pytest.raises(OperatorError, match=r"ck_library_book_title.*\. Change these rows, or the migration .*0002"):
        books.migrate()


def test_unknown_feature_or_target_gets_a_suggestion(books: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match=r"No feature 'libary' is installed. Did you mean library\?"):
        books.migrate("libary")
    with pytest.raises(OperatorError, match=r"no migration '0001_initail'. Did you mean 0001_initial\?"):
        books.migrate("library", "0001_initail")


def test_migration_written_since_the_draft_is_not_replaced(books: SampleFeatures) -> None:
    draft = create_empty_migration(books.graph, "library", "by hand")
    with files_no_larger_than(9), pytest.raises(OperatorError, match=r"by_hand.py cannot be written: File too large"):
        write_migration(books.graph, draft)  # leaves no half file
    books.write_migration("library", "pass")
    with pytest.raises(OperatorError, match=r"written library.0002_by_hand. Run makemigrations again"):
        write_migration(books.graph, draft)


@pytest.mark.database("sqlite", "postgresql")
def test_failed_migration_is_rolled_back(sample: SampleFeatures) -> None:
    sample.declare_books()
    sample.make_migrations()
    for sql in ("nonsense", "INSERT INTO library_book (title) VALUES (NULL)"):
        table = "op.create_table('library_half', sa.Column('id', sa.Integer()))"
        path = sample.write_migration("library", f"{table}\n    op.execute('{sql}')")
        with pytest.raises(OperatorError, match=r"library.0002_by_hand failed and was undone: "):
            sample.migrate()
        assert sample.find_pending() == ["library.0002_by_hand"]
        assert sample.read_tables() == {"library_book"}
        path.unlink()
        if sql == "nonsense":
            sample.execute("INSERT INTO library_book (title) VALUES ('Emma')")
    assert sample.execute("SELECT title FROM library_book") == [("Emma",)]


def test_foreign_key_of_table_adds_a_dependency(offers: SampleFeatures) -> None:
    library, shop = offers.graph.ordered
    assert shop.depends_on == (library.revision,)
    assert offers.find_pending() == ["library.0001_initial", "shop.0001_initial"]
    assert offers.migrate("shop") == ["upgrade library.0001_initial", "upgrade shop.0001_initial"]
    assert offers.migrate("library", "zero") == ["downgrade shop.0001_initial", "downgrade library.0001_initial"]


@pytest.mark.parametrize(
    ("target", "action", "message"),
    [
        ("library_autor.id", None, r"there is no table library_autor\. Did you mean library_author\?$"),
        ("library_author.ids", None, r"library_author has no column ids\. Did you mean id\?$"),
        ("library_author", None, r'has no column\. Write foreign_key="library_author\.id"\.$'),
        ("library_author.id", "CASCAD", r'ondelete="CASCAD" is no action\. Did you mean CASCADE'),
    ],
)
def test_wrong_foreign_key_is_refused(sample: SampleFeatures, target: str, action: str | None, message: str) -> None:
    sample.table("library_author")
    sample.table("library_book", Column("author_id", Integer, ForeignKey(target, ondelete=action)))
    with pytest.raises(OperatorError, match=rf"^library_book\.author_id: .*{message}"):
        refuse_unowned_tables(sample.features, sample.metadata)


@pytest.mark.database("sqlite", "postgresql")
def test_table_and_reference_to_it_are_dropped_together(sample: SampleFeatures) -> None:
    sample.table("library_author")
    sample.table("library_book", sample.foreign_key("library_author", "author_id"))
    sample.migrate_models()
    sample.metadata.clear()
    sample.table("library_book")
    sample.migrate_models()
    assert sample.read_tables() == {"library_book"}
    sample.migrate("library", "1")
    assert sample.read_tables() == {"library_author", "library_book"}
    sample.migrate("library")
    assert sample.draft_migrations() == []


def test_files_of_a_feature_can_be_deleted(offers: SampleFeatures) -> None:
    offers.migrate()
    library_only = SampleFeatures(offers.settings, offers.versions, ("library",))
    library_only.table("library_book")
    assert library_only.find_pending() == []
    assert len(library_only.graph.removed_revisions(library_only.read_revisions())) == 1
    library_only.table("library_book", Column("pages", Integer))
    library_only.make_migrations()
    assert library_only.migrate() == ["upgrade library.0002_book_pages"]
    assert offers.find_pending() == []


def test_database_of_newer_code_is_refused(books: SampleFeatures) -> None:
    books.graph.migrations_of("library")[0].path.rename(books.versions / "0001_initial.py")
    with pytest.raises(OperatorError, match="The database has migrations that this code lacks"):
        books.migrate()


@pytest.mark.database("sqlite", "postgresql")
def test_concurrent_processes_migrate_once(offers: SampleFeatures) -> None:
    with ProcessPoolExecutor(2, PROCESSES) as processes:
        runs = [processes.submit(offers.migrate) for _ in range(2)]
    steps = [step for run in runs for step in run.result()]
    assert sorted(steps) == ["upgrade library.0001_initial", "upgrade shop.0001_initial"]


@pytest.mark.database("sqlite", "postgresql")
def test_migration_lock_times_out_after_a_notice(
    offers: SampleFeatures, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "MIGRATION_LOCK_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(runner, "WAIT_NOTICE_SECONDS", 0.05)
    with connect(offers.settings) as other_process:
        other_process.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with other_process.begin():
            locks.acquire_migration_lock(other_process)
            with pytest.raises(OperatorError, match=r"another process|Another process"):
                offers.migrate()
    assert (offers.read_tables(), caplog.messages[:1]) == (set(), [runner.WAITING])


@pytest.mark.database("postgresql")
def test_host_timeout_does_not_hide_another_migration(offers: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MIGRATION_LOCK_TIMEOUT_SECONDS", 0.1)
    with connect(offers.settings) as other_process, connect(offers.settings) as connection:
        locks.acquire_migration_lock(other_process)
        connection.execute(text("SET LOCAL statement_timeout = 20"))
        with pytest.raises(OperatorError, match="Another process is migrating"):
            locks.acquire_migration_lock(connection)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("book", "No feature owns the table 'book'"),
        ("answers_answer", r"installed\.py, import it with `from opportune\.features import answers`"),
    ],
)
def test_unowned_model_table_is_refused(sample: SampleFeatures, table: str, message: str) -> None:
    sample.table(table)
    with pytest.raises(OperatorError, match=message):
        refuse_unowned_tables(sample.features, sample.metadata)


def test_framework_migration_depends_on_no_migration_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """The project of this repository has migrations of users. Other projects have different ones."""
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(new_migration, "write_file", lambda *_arguments, **names: written.append(names))
    key = Column("user_id", Integer, ForeignKey("accounts_user.id"))
    table = ops.CreateTableOp("admin_note", [key])
    graph = MigrationGraph(("accounts", "users", "admin"))
    write_migration(graph, NewMigration("admin", "0099_note", [table], [], []))
    (names,) = written
    assert [revision.partition("_")[0] for revision in names["depends_on"]] == ["accounts"]


JOBS = (
    *("accounts.note_wrong_password", "accounts.report_mail_outage"),
    *(f"accounts.send_{kind}_email" for kind in ("password_reset", "registration", "sign_in", "verification")),
    *("admin.report_late_jobs", "backups.make", "jobs.delete_files", "jobs.embed_documents", "jobs.embed_rows"),
)
"""Jobs that 0.2 queued. Scheduled jobs are missing, because `jobs.clean_up` deletes those without a definition."""


def test_jobs_queued_by_0_2_exist() -> None:
    assert {job.name for feature in installed_features() for job in feature.jobs.definitions} >= {*JOBS}
