"""Migrations: drafts, plans, dependencies, failures, locks, and databases of 0.2."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.operations import ops
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import JSON

from opportune.db.migrations import locks, new_migration
from opportune.db.migrations.adoption import Difference, compare_existing_tables
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.migration_file import read_migration
from opportune.db.migrations.new_migration import NewMigration, write_migration
from opportune.db.migrations.ownership import refuse_unowned_tables
from opportune.db.migrations.plans import plan_migrations
from opportune.db.migrations.portable_sql import quoted
from opportune.db.migrations.runner import run_migrations
from opportune.errors import OperatorError
from opportune.project.installed import installed_features, installed_names
from opportune.testing.plugin import settings_for
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import ID, SampleFeatures
from tests.opportune.forked import PROCESSES


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """A migrated feature with one table."""
    return make_sample(declare)


def declare(sample: SampleFeatures) -> None:
    sample.table("library_book", Column("title", String(50), nullable=False))


@pytest.fixture
def offers(sample: SampleFeatures) -> SampleFeatures:
    """A feature whose table another feature references, with migrations that have not run."""
    sample.table("library_book")
    sample.table("shop_offer", sample.foreign_key("library_book", "book_id"))
    sample.make_migrations()
    return sample


def test_file_is_named_after_its_changes(books: SampleFeatures) -> None:
    books.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer))
    assert books.make_migrations() == ["library/0002_book_pages.py"]
    books.migrate()
    books.table("library_book", Column("title", String(80), nullable=False))
    books.table("library_shelf")
    (draft,) = books.draft_migrations()
    assert draft.name == "0003_shelf_and_more"
    assert {str(change) for change in draft.changes} == {
        "+ Create table library_shelf",
        "- Drop column pages of library_book",
        "~ Alter column title of library_book",
    }


def test_target_by_number_name_or_revision(books: SampleFeatures) -> None:
    books.table("library_book", Column("title", String(50), nullable=False), Column("pages", Integer))
    books.make_migrations()
    initial, pages = books.graph.migrations_of("library")
    for target in ("1", "0001", "0001_initial", "0001_in", initial.revision):
        assert books.graph.find("library", target) == initial
    assert books.migrate("library", "2") == ["upgrade library.0002_book_pages"]
    assert books.migrate("library", "1") == ["downgrade library.0002_book_pages"]
    assert books.find_pending() == [str(pages)]


def test_unknown_feature_or_target_gets_a_suggestion(books: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match=r"No feature 'libary' is installed. Did you mean library\?"):
        books.migrate("libary")
    with pytest.raises(OperatorError, match=r"no migration '0001_initail'. Did you mean 0001_initial\?"):
        books.migrate("library", "0001_initail")


@pytest.mark.database("sqlite", "postgresql")
def test_failed_migration_is_rolled_back(sample: SampleFeatures) -> None:
    sample.table("library_book", Column("title", String(50), nullable=False))
    sample.make_migrations()
    for sql in ("nonsense", "INSERT INTO library_book (title) VALUES (NULL)"):
        path = sample.write_migration(
            "library", f"op.create_table('library_half', sa.Column('id', sa.Integer()))\n    op.execute('{sql}')"
        )
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


def test_foreign_key_of_column_adds_a_dependency(books: SampleFeatures) -> None:
    books.table("shop_offer")
    books.make_migrations()
    assert books.graph.migrations_of("shop")[-1].depends_on == ()
    books.migrate()
    key = books.foreign_key("library_book", "book_id")
    key.nullable = True
    books.table("shop_offer", key)
    books.make_migrations()
    assert books.graph.migrations_of("shop")[-1].depends_on == (books.graph.migrations_of("library")[0].revision,)
    books.migrate()
    assert books.draft_migrations() == []


def test_reference_to_unmigrated_feature_is_refused(sample: SampleFeatures) -> None:
    sample.features = ("shop", "library")
    sample.table("library_book")
    sample.table("shop_offer", sample.foreign_key("library_book", "book_id"))
    with pytest.raises(OperatorError, match=r"shop references library_book\. Run `makemigrations library`"):
        sample.make_migrations()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("library_autor.id", r"there is no table library_autor\. Did you mean library_author\?"),
        ("Wrong.id", r"there is no table Wrong\. Write the __tablename__ of a model of an installed feature\."),
        ("library_author.ids", r"library_author has no column ids\. Did you mean id\?"),
        ("library_author", r'has no column\. Write foreign_key="library_author\.id"\.'),
    ],
)
def test_foreign_key_without_target_is_refused(sample: SampleFeatures, target: str, message: str) -> None:
    sample.table("library_author")
    sample.table("library_book", Column("author_id", Integer, ForeignKey(target)))
    with pytest.raises(OperatorError, match=rf"^library_book\.author_id: .*{message}$"):
        refuse_unowned_tables(sample.features, sample.metadata)


def test_missing_previous_migration_is_refused(sample: SampleFeatures) -> None:
    sample.table("library_author")
    sample.migrate_models()
    sample.table("library_book")
    sample.migrate_models()
    min(sample.versions.glob("library/*.py")).unlink()
    with pytest.raises(OperatorError, match=r"^library\.0002_book follows library_0001_\w+, whose file is missing\."):
        sample.find_pending()


@pytest.mark.parametrize("option", ["ondelete", "onupdate"])
def test_unknown_action_of_a_foreign_key_is_refused(sample: SampleFeatures, option: str) -> None:
    sample.table("library_author")
    actions: dict[str, Any] = {option: "CASCAD"}
    key = ForeignKey("library_author.id", **actions)
    sample.table("library_book", Column("author_id", Integer, key))
    with pytest.raises(OperatorError, match=f'author_id: {option}="CASCAD" is no action. Did you mean CASCADE'):
        refuse_unowned_tables(sample.features, sample.metadata)


@pytest.mark.database("sqlite", "postgresql")
def test_adoption_compares_the_keys_of_a_cycle(sample: SampleFeatures) -> None:
    for table, other in (("library_author", "library_book"), ("library_book", "library_author")):
        sample.table(table, Column("other_id", ID, ForeignKey(f"{other}.id")))
    sample.migrate_models()
    (first,) = sample.graph.migrations_of("library")
    with connect(sample.settings) as connection:
        assert compare_existing_tables(connection, first) == []
    name = "fk_library_book_other_id_library_author"
    drop = f"with op.batch_alter_table('library_book') as batch_op:\n        batch_op.drop_constraint('{name}')"
    sample.write_migration("library", drop)
    sample.migrate()
    with connect(sample.settings) as connection:
        differences = compare_existing_tables(connection, first)
    assert differences == [Difference(f"constraint {name} to library_book is missing", is_harmful=False)]


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


@pytest.mark.database("sqlite", "postgresql")
def test_table_is_dropped_after_references_of_other_features(offers: SampleFeatures) -> None:
    offers.migrate()
    offers.metadata.clear()
    offers.table("shop_offer")
    assert offers.make_migrations() == ["shop/0002_drop_offer_book_id.py", "library/0002_drop_book.py"]
    assert offers.migrate("library") == ["upgrade shop.0002_drop_offer_book_id", "upgrade library.0002_drop_book"]
    assert offers.read_tables() == {"shop_offer"}
    offers.migrate("library", "zero")
    assert offers.read_tables() == set()


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
def test_migration_lock_times_out(offers: SampleFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MIGRATION_LOCK_TIMEOUT_SECONDS", 0.05)
    with connect(offers.settings) as other_process:
        other_process.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with other_process.begin():
            locks.acquire_migration_lock(other_process)
            with pytest.raises(OperatorError, match=r"another process|Another process"):
                offers.migrate()
    assert offers.read_tables() == set()


@pytest.mark.database("postgresql")
def test_timeout_of_the_host_does_not_hide_another_migration(
    offers: SampleFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_feature_listed_twice_has_its_migrations_once(books: SampleFeatures) -> None:
    graph = MigrationGraph(["library", "library"], books.versions)
    assert [migration.name for migration in graph.ordered] == ["0001_initial"]


def test_invalid_migration_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "0001_initial.py").write_text("revision = open('x')\n")
    with pytest.raises(OperatorError, match=r"0001_initial.py is not a migration"):
        MigrationGraph(["library"], tmp_path)


@pytest.mark.parametrize("first", ["", "@decorated\n"])
def test_revision_may_follow_the_functions(tmp_path: Path, first: str) -> None:
    path = tmp_path / "0001_initial.py"
    path.write_text(f"{first}def upgrade(): ...\n\n\n{first}def downgrade(): ...\n\n\nrevision = 'library_0001'\n")
    assert read_migration(path).revision == "library_0001"


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


VERSION_0_2 = {"accounts": "0003", "admin": "0002", "jobs": "0004", "teams": "0001"}
"""The last migrations of 0.2."""
BEFORE_RENAMING = {"accounts": "0004", "admin": "0005"}
"""Later migrations, for saved views, which 0.2 did not have."""
BLANKS = {Boolean: False, Integer: 0, Numeric: 0, DateTime: datetime(2026, 11, 24, tzinfo=UTC), JSON: {}, Text: ""}

JOBS = (
    "accounts.note_wrong_password",
    "accounts.report_mail_outage",
    "accounts.send_password_reset_email",
    "accounts.send_registration_email",
    "accounts.send_sign_in_email",
    "accounts.send_verification_email",
    "admin.report_late_jobs",
    "backups.make",
    "jobs.delete_files",
    "jobs.embed_documents",
    "jobs.embed_rows",
)
"""Jobs that 0.2 queued. Scheduled jobs are missing, because `jobs.clean_up` deletes those without a definition."""
STORED: Sequence[tuple[str, dict[str, Any], dict[str, Any]]] = (
    ("accounts_grant", {"group_id": 1, "identity": "todo", "action": "details"}, {"action": "get"}),
    ("accounts_grant", {"group_id": 1, "identity": "todo", "action": "edit"}, {"action": "update"}),
    ("accounts_grant", {"group_id": 1, "identity": "todo", "action": "action:edit"}, {"action": "action:edit"}),
    ("accounts_shipped_grant", {"group_name": "Staff", "identity": "todo", "action": "edit"}, {"action": "update"}),
    ("accounts_event", {"user_id": 1, "kind": "passkey_added"}, {"kind": "passkey_created"}),
    ("accounts_event", {"user_id": 1, "kind": "changed_by_staff"}, {"kind": "updated_by_staff"}),
    ("accounts_event", {"user_id": 1, "kind": "signed_in"}, {"kind": "signed_in"}),
    ("admin_audit_entry", {"identity": "todo", "action": "edit"}, {"action": "update"}),
    ("admin_audit_entry", {"identity": "todo", "action": "delete"}, {"action": "delete"}),
    (
        "admin_saved_view",
        {"owner_id": 1, "identity": "audit-entry", "name": "Changes", "query": "action=edit&sort=at&action=delete"},
        {"query": "action=update&sort=at&action=delete"},
    ),
    (
        "admin_saved_view",
        {"owner_id": 1, "identity": "account-event", "name": "Passkeys", "query": "x=1&kind=passkey_removed"},
        {"query": "x=1&kind=passkey_deleted"},
    ),
    (
        "admin_saved_view",
        {"owner_id": 1, "identity": "todo", "name": "Drafts", "query": "action=edit"},
        {"query": "action=edit"},
    ),
    *(("jobs_job", {"name": name, "state": "waiting"}, {"name": name}) for name in JOBS),
)
"""Table, stored values and the values after the upgrade."""


def add_row(connection: Connection, table_name: str, values: dict[str, Any]) -> None:
    """Insert a row, with blank values in its other required columns."""
    table = Table(table_name, MetaData(), autoload_with=connection)
    required = [c for c in table.columns if not (c.nullable or c.server_default or c.primary_key)]
    connection.execute(insert(table).values({**{c.name: blank_value(c) for c in required}, **values}))


def blank_value(column: Column[Any]) -> Any:
    return next((value for type_, value in BLANKS.items() if isinstance(column.type, type_)), "")


def read_values(connection: Connection) -> list[dict[str, Any]]:
    """Return the columns of each stored row that the upgrade may change."""
    rows = []
    for table_name in dict.fromkeys(name for name, _, _ in STORED):
        table = Table(table_name, MetaData(), autoload_with=connection)
        stored = [after for name, _, after in STORED if name == table_name]
        found = connection.execute(select(table).order_by(table.c.id)).mappings().all()
        rows += [{name: row[name] for name in after} for row, after in zip(found, stored, strict=True)]
    return rows


@pytest.mark.database("sqlite", "postgresql")
def test_stored_names_of_0_2_are_replaced(empty_database_url: str) -> None:
    settings = settings_for(empty_database_url)
    graph = MigrationGraph(installed_names())
    with connect(settings) as connection:
        for feature, target in VERSION_0_2.items():
            run_migrations(connection, graph, plan_migrations(graph, feature, target))
        with connection.begin():
            add_row(connection, "accounts_group", {"name": "Staff"})
            add_row(connection, "accounts_user", {"email": "ann@example.com"})
        for feature, target in BEFORE_RENAMING.items():
            run_migrations(connection, graph, plan_migrations(graph, feature, target))
        with connection.begin():
            for table_name, values, _ in STORED:
                add_row(connection, table_name, values)
        run_migrations(connection, graph)
        with connection.begin():
            assert read_values(connection) == [after for _, _, after in STORED]

        for feature, target in BEFORE_RENAMING.items():
            run_migrations(connection, graph, plan_migrations(graph, feature, target))
        with connection.begin():
            before = [{name: values[name] for name in after} for _, values, after in STORED]
            assert read_values(connection) == before


def test_jobs_queued_by_0_2_exist() -> None:
    names = {job.name for feature in installed_features() for job in feature.jobs.definitions}
    assert names >= {*JOBS}


def test_words_of_both_databases_are_quoted() -> None:
    words = sqlite.dialect.preparer.reserved_words | postgresql.dialect.preparer.reserved_words
    assert len(words) > 100
    assert [word for word in words if quoted(word) != f'"{word}"'] == []
    assert quoted("book") == "book"
