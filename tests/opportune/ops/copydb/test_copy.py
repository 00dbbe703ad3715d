import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Column, String

from opportune.config.project import USERS
from opportune.db.migrations.connection import ADVISORY_LOCK_ID, connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import plan_for, run_migrations
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.ops.copydb import TableReport, copy, examine, rows, writers
from opportune.testing.plugin import settings_for
from opportune.testing.services.pgbouncer import pgbouncer
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.development.processes import paused_copy
from tests.opportune.db.migrations.sample_features import SampleFeatures
from tests.opportune.ops.copydb.two_databases import (
    ADD_SESSION,
    ADD_USER,
    KINDS,
    Databases,
    databases_of,
    emails,
    execute,
    has_tables,
    tables_of,
)

NAMES = ("accounts", USERS)


def migrate_few(address: str) -> None:
    graph = MigrationGraph(NAMES)
    with connect(settings_for(address)) as connection:
        run_migrations(connection, graph, plan_for(graph), derive=False)


@pytest.fixture(scope="session")
def few_in_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("few") / "template.db"
    migrate_few(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def few_in_postgres(postgres_server: Postgres) -> str:
    name = f"few_{uuid4().hex}"  # other test runs may use the same server
    migrate_few(postgres_server.create_database(name))
    return name


class FewTables(Databases):
    """Databases with the tables of accounts only, because migrating all tables is slow."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        super().__init__(request, folder)
        self.names = NAMES
        self.graph, self.metadata = MigrationGraph(self.names), tables_of(self.names)

    def migrated(self, kind: str) -> str:
        if kind == "postgresql":
            return self._create(self.request.getfixturevalue("few_in_postgres"))
        address = self.missing(kind)
        shutil.copyfile(self.request.getfixturevalue("few_in_sqlite"), DatabaseURL.parse(address).path)
        return address

    def run(self, source: str, target: str, *, force: bool = False) -> list[TableReport]:
        addresses = DatabaseURL.parse(source), DatabaseURL.parse(target)
        return copy(*addresses, self.graph, force=force, metadata=self.metadata)

    def refusal(self, source: str, target: str) -> str:
        with pytest.raises(OperatorError) as raised:
            self.run(source, target)
        return str(raised.value)


@pytest.fixture
def few(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FewTables]:
    yield from databases_of(FewTables, request, tmp_path)


def test_copy_to_postgresql_and_back_is_identical(few: FewTables) -> None:
    start = few.filled("sqlite", "ü@example.com", "b@example.com")
    execute(start, ADD_SESSION, id=7)
    server, other, sqlite_copy, second_copy = (
        few.missing(kind) for kind in ("postgresql", "postgresql", "sqlite", "sqlite")
    )
    reports = few.run(start, server)
    assert {report.name: report.rows for report in reports if report.rows} == {
        "accounts_user": 2,
        "accounts_session": 1,
    }
    assert few.run(server, other) == reports, "equal rows have equal checksums"
    assert few.run(other, sqlite_copy) == reports
    few.run(sqlite_copy, second_copy)
    for statement in ("SELECT * FROM accounts_user ORDER BY id", "SELECT * FROM accounts_session"):
        assert execute(server, statement) == execute(other, statement)
        assert execute(sqlite_copy, statement) == execute(second_copy, statement)
    assert emails(second_copy) == ["ü@example.com", "b@example.com"]
    assert DatabaseURL.parse(second_copy).path.stat().st_mode & 0o777 == 0o600


def test_force_replaces_the_destination_after_the_comparison(few: FewTables) -> None:
    source, target = few.migrated("sqlite"), few.filled("postgresql", "old@example.com")
    execute(source, ADD_USER, id=41, email="new@example.com")
    assert few.refusal(source, target) == "The destination has rows in accounts_user. To replace them: --force"
    assert emails(target) == ["old@example.com"]
    copied: list[int] = []

    def stop_at_the_comparison(rows: int) -> None:
        if copied:
            raise KeyboardInterrupt
        copied.append(rows)

    addresses = DatabaseURL.parse(source), DatabaseURL.parse(target)
    with pytest.raises(KeyboardInterrupt):
        copy(*addresses, few.graph, force=True, progress=stop_at_the_comparison, metadata=few.metadata)
    assert emails(target) == ["old@example.com"]
    few.run(source, target, force=True)
    assert emails(target) == ["new@example.com"]
    execute(target, ADD_USER.replace("(id, ", "(").replace("(:id, ", "("), email="b@example.com")
    assert execute(target, "SELECT max(id) FROM accounts_user") == [(42,)], "the sequence continues"


@pytest.mark.parametrize("kind", KINDS)
def test_later_writes_are_not_in_the_copy(few: FewTables, kind: str) -> None:
    source, target = few.filled(kind, "a@example.com"), few.missing("sqlite")
    late = ["late@example.com"]

    def write_into_source(_rows: int) -> None:
        if late:
            execute(source, ADD_USER, id=2, email=late.pop())

    copy(
        DatabaseURL.parse(source),
        DatabaseURL.parse(target),
        few.graph,
        progress=write_into_source,
        metadata=few.metadata,
    )
    assert emails(source) == ["a@example.com", "late@example.com"]
    assert emails(target) == ["a@example.com"]


UNKNOWN = "INSERT INTO alembic_version VALUES ('accounts_0009_f')"
KNOWN_AGAIN = "DELETE FROM alembic_version WHERE version_num = 'accounts_0009_f'"


@pytest.mark.parametrize("kind", KINDS)
def test_source_that_differs_from_the_code_is_refused(few: FewTables, kind: str) -> None:
    source, target = few.migrated(kind), few.missing("sqlite")
    for statement, undo, line in (
        (
            "CREATE TABLE shop_order (id INTEGER)",
            "DROP TABLE shop_order",
            "has tables without a model, which would be lost: shop_order.",
        ),
        (
            "ALTER TABLE accounts_user ADD colour TEXT",
            "ALTER TABLE accounts_user DROP COLUMN colour",
            "columns of accounts_user differ from its model (colour)",
        ),
        (UNKNOWN, KNOWN_AGAIN, "The source has migrations that are missing here"),
        ("DELETE FROM alembic_version", "", "The source lacks migrations (accounts.0001_initial"),
    ):
        execute(source, statement)
        assert line in few.refusal(source, target)
        assert not has_tables(target)
        if undo:
            execute(source, undo)


def test_destination_with_unknown_migrations_is_refused(few: FewTables) -> None:
    source, target = few.migrated("sqlite"), few.migrated("sqlite")
    execute(target, UNKNOWN)
    assert "destination has migrations that are missing here" in few.refusal(source, target)
    execute(target, "DELETE FROM alembic_version")
    assert "has tables that no migration has created (accounts_" in few.refusal(source, target)


def test_destination_that_lacks_migrations_is_refused(tmp_path: Path) -> None:
    source, target = (f"sqlite:///{tmp_path}/{name}.db" for name in ("source", "target"))
    sample = SampleFeatures(settings_for(target), tmp_path / "versions")
    sample.table("library_book", Column("title", String(50)))
    sample.make()
    sample.migrate()
    sample.table("shop_order")
    sample.make()
    SampleFeatures(settings_for(source), tmp_path / "versions").migrate()
    with pytest.raises(OperatorError, match=r"lacks migrations \(shop\.0001_initial"):
        examine(DatabaseURL.parse(source), DatabaseURL.parse(target), sample.graph, metadata=sample.metadata)


def test_database_is_not_copied_onto_itself(few: FewTables, tmp_path: Path) -> None:
    file = few.migrated("sqlite")
    (tmp_path / "other.db").hardlink_to(DatabaseURL.parse(file).path)
    assert "the same file" in few.refusal(file, file.replace("databases/", "databases/../databases/"))
    assert "the same file" in few.refusal(file, f"sqlite:///{tmp_path}/other.db")
    server = few.migrated("postgresql")
    refusal = few.refusal(server, server.replace("127.0.0.1", "localhost"))
    assert refusal == "Source and destination are the same database."


def test_copy_through_a_pooler(few: FewTables) -> None:
    source, direct = few.filled("sqlite", "a@example.com"), few.missing("postgresql")
    target = few.missing("sqlite")
    with pgbouncer(direct) as pooled:
        few.run(source, pooled)
        few.run(pooled, target)
        assert few.refusal(pooled, direct) == "Source and destination are the same database."
    assert emails(target) == ["a@example.com"]


def test_database_in_memory_cannot_be_a_destination(few: FewTables) -> None:
    target = few.missing("sqlite").replace("sqlite:", "sqlite+memory:")
    assert "never written" in few.refusal(few.migrated("sqlite"), target)


def test_examine_creates_no_file(few: FewTables) -> None:
    source, target = few.filled("sqlite", "a@example.com"), few.missing("sqlite")
    addresses = DatabaseURL.parse(source), DatabaseURL.parse(target)
    assert examine(*addresses, few.graph, metadata=few.metadata)["accounts_user"] == 1
    assert [path.name for path in few.folder.iterdir()] == [DatabaseURL.parse(source).path.name]


def test_destination_is_locked_during_the_copy(few: FewTables) -> None:
    source, target = few.filled("sqlite", "a@example.com"), few.migrated("postgresql")
    migrators: list[tuple[object, ...]] = []

    def check_locks(_rows: int) -> None:
        with pytest.raises(OperatorError) as raised:
            execute(target, "LOCK TABLE accounts_user IN ROW EXCLUSIVE MODE NOWAIT")
        assert "could not obtain lock" in str(raised.value.__cause__)
        migrators.extend(execute(target, "SELECT pg_try_advisory_xact_lock(:number)", number=ADVISORY_LOCK_ID))

    copy(DatabaseURL.parse(source), DatabaseURL.parse(target), few.graph, progress=check_locks, metadata=few.metadata)
    assert {*migrators} == {(False,)}


def test_ctrl_c_leaves_the_destination_unchanged(few: FewTables, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = few.filled("postgresql", "a@x.org", "b@x.org"), few.filled("postgresql", "old@x.org")
    monkeypatch.setattr(rows, "BATCH_ROWS", 1)  # the writer stops before all rows are read

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writers, "_keys", interrupt)
    with pytest.raises(KeyboardInterrupt):
        few.run(source, target, force=True)
    assert emails(target) == ["old@x.org"]


def test_killed_copy_leaves_the_destination_unchanged(few: FewTables) -> None:
    source = few.filled("sqlite", "new@example.com")
    old = [few.filled(kind, "old@example.com") for kind in KINDS]
    absent = [few.missing(kind) for kind in KINDS]
    with paused_copy(few.names, source, *old, *absent) as process:
        assert process.pid
        os.killpg(process.pid, signal.SIGKILL)
    assert [emails(address) for address in old] == [["old@example.com"]] * 2
    assert not any(map(has_tables, absent))
    for target in (*old, *absent):
        few.run(source, target, force=True)
        assert emails(target) == ["new@example.com"]
    assert not list(few.folder.glob(".*")), "temporary files of the killed copy are removed"
