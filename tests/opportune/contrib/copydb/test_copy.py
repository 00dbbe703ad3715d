"""Copies between SQLite and PostgreSQL, refused copies, and interrupted ones."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from opportune.contrib.copydb.copy import TableReport, copy
from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.locks import ADVISORY_LOCK_ID
from opportune.db.migrations.runner import run_migrations
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.layout import USERS
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.development.processes import paused_copy
from tests.opportune.contrib.copydb import two_databases
from tests.opportune.contrib.copydb.two_databases import KINDS, Databases, execute

NAMES = ("accounts", USERS)


def migrate_accounts(url: str) -> None:
    graph = MigrationGraph(NAMES)
    with connect(settings_for(url)) as connection:
        run_migrations(connection, graph, derive=False)


@pytest.fixture(scope="session")
def accounts_in_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("accounts") / "template.db"
    migrate_accounts(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def accounts_in_postgres(postgres_server: Postgres) -> str:
    name = f"few_{uuid4().hex}"  # other test runs may use the same server
    migrate_accounts(postgres_server.create_database(name))
    return name


class AccountDatabases(Databases):
    """Databases with the tables of accounts only, because migrating all tables is slow."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        super().__init__(request, folder)
        self.names = NAMES
        self.graph, self.metadata = MigrationGraph(self.names), two_databases.copy_tables(self.names)

    def create_migrated(self, kind: str) -> str:
        if kind == "postgresql":
            return self._create(self.request.getfixturevalue("accounts_in_postgres"))
        url = self.missing_url(kind)
        shutil.copyfile(self.request.getfixturevalue("accounts_in_sqlite"), DatabaseUrl.parse(url).path)
        return url

    def run(self, source: str, target: str, **options: Any) -> list[TableReport]:
        addresses = DatabaseUrl.parse(source), DatabaseUrl.parse(target)
        return copy(*addresses, self.graph, metadata=self.metadata, **options)

    def read_refusal(self, source: str, target: str) -> str:
        with pytest.raises(OperatorError) as raised:
            self.run(source, target)
        return str(raised.value)


@pytest.fixture
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AccountDatabases]:
    yield from two_databases.open_databases(AccountDatabases, request, tmp_path)


def test_copy_to_postgresql_and_back_is_identical(databases: AccountDatabases) -> None:
    start = databases.create_filled("sqlite", "ü@example.com", "b@example.com")
    execute(start, two_databases.ADD_SESSION, id=7)
    server, other = (databases.missing_url("postgresql") for _ in range(2))
    sqlite_copy, second_copy = (databases.missing_url("sqlite") for _ in range(2))
    reports = databases.run(start, server)
    assert {table.name: table.rows for table in reports if table.rows} == {"accounts_user": 2, "accounts_session": 1}
    assert databases.run(server, other) == reports, "equal rows have equal checksums"
    assert databases.run(other, sqlite_copy) == reports
    databases.run(sqlite_copy, second_copy)
    for statement in ("SELECT * FROM accounts_user ORDER BY id", "SELECT * FROM accounts_session"):
        assert execute(server, statement) == execute(other, statement)
        assert execute(sqlite_copy, statement) == execute(second_copy, statement)
    assert two_databases.emails(second_copy) == ["ü@example.com", "b@example.com"]
    assert DatabaseUrl.parse(second_copy).path.stat().st_mode & 0o777 == 0o600


def test_force_replaces_the_destination_after_the_comparison(databases: AccountDatabases) -> None:
    source, target = databases.create_migrated("sqlite"), databases.create_filled("postgresql", "old@example.com")
    execute(source, two_databases.ADD_USER, id=41, email="new@example.com")
    refusal = databases.read_refusal(source, target)
    assert refusal == "The destination has rows in accounts_user. To replace them: --force"
    assert two_databases.emails(target) == ["old@example.com"]
    copied: list[int] = []

    def stop_at_the_comparison(rows: int) -> None:
        if copied:
            raise KeyboardInterrupt
        copied.append(rows)

    with pytest.raises(KeyboardInterrupt):
        databases.run(source, target, force=True, progress=stop_at_the_comparison)
    assert two_databases.emails(target) == ["old@example.com"]
    databases.run(source, target, force=True)
    assert two_databases.emails(target) == ["new@example.com"]
    execute(target, two_databases.ADD_USER.replace("(id, ", "(").replace("(:id, ", "("), email="b@example.com")
    assert execute(target, "SELECT max(id) FROM accounts_user") == [(42,)], "the sequence continues"


@pytest.mark.parametrize("kind", KINDS)
def test_later_writes_are_not_in_the_copy(databases: AccountDatabases, kind: str) -> None:
    source, target = databases.create_filled(kind, "a@example.com"), databases.missing_url("sqlite")
    late = ["late@example.com"]

    def write_into_source(_rows: int) -> None:
        if late:
            execute(source, two_databases.ADD_USER, id=2, email=late.pop())

    databases.run(source, target, progress=write_into_source)
    assert two_databases.emails(source) == ["a@example.com", "late@example.com"]
    assert two_databases.emails(target) == ["a@example.com"]


ADD_UNKNOWN_MIGRATION = "INSERT INTO alembic_version VALUES ('accounts_0009_f')"


def test_source_that_differs_from_the_code_is_refused(databases: AccountDatabases) -> None:
    source, target = databases.create_migrated("sqlite"), databases.missing_url("sqlite")
    for statement, line in (
        ("CREATE TABLE shop_order (id INTEGER)", "has tables without a model, which would be lost: shop_order."),
        ("DROP TABLE shop_order", ""),
        ("ALTER TABLE accounts_user ADD colour TEXT", "columns of accounts_user differ from its model (colour)"),
        ("ALTER TABLE accounts_user DROP COLUMN colour", ""),
        (ADD_UNKNOWN_MIGRATION, "The source has migrations that are missing here"),
        ("DELETE FROM alembic_version", "The source has no migrations: it is empty, or another database."),
        ("INSERT INTO alembic_version VALUES ('other.0001_initial')", "The source lacks migrations (accounts.0001"),
    ):
        execute(source, statement)
        if line:
            assert line in databases.read_refusal(source, target)
            assert not two_databases.has_tables(target)


def test_destination_with_unknown_migrations_is_refused(databases: AccountDatabases) -> None:
    source, target = databases.create_migrated("sqlite"), databases.create_migrated("sqlite")
    execute(target, ADD_UNKNOWN_MIGRATION)
    assert "destination has migrations that are missing here" in databases.read_refusal(source, target)
    execute(target, "DELETE FROM alembic_version")
    assert "has tables that no migration has created (accounts_" in databases.read_refusal(source, target)


def test_database_is_not_copied_onto_itself_or_into_memory(databases: AccountDatabases, tmp_path: Path) -> None:
    file = databases.create_migrated("sqlite")
    (tmp_path / "other.db").hardlink_to(DatabaseUrl.parse(file).path)
    assert "the same file" in databases.read_refusal(file, file.replace("databases/", "databases/../databases/"))
    assert "the same file" in databases.read_refusal(file, f"sqlite:///{tmp_path}/other.db")
    server = databases.create_migrated("postgresql")
    read_refusal = databases.read_refusal(server, server.replace("127.0.0.1", "localhost"))
    assert read_refusal == "Source and destination are the same database."
    target = databases.missing_url("sqlite").replace("sqlite:", "sqlite+memory:")
    assert "never written" in databases.read_refusal(file, target)


def test_copy_through_a_pooler(databases: AccountDatabases) -> None:
    source, direct = (databases.create_filled("sqlite", "a@example.com"), databases.missing_url("postgresql"))
    target = databases.missing_url("sqlite")
    with pgbouncer(direct) as pooled:
        databases.run(source, pooled)
        databases.run(pooled, target)
        assert databases.read_refusal(pooled, direct) == "Source and destination are the same database."
    assert two_databases.emails(target) == ["a@example.com"]


def test_destination_is_locked_during_the_copy(databases: AccountDatabases) -> None:
    source, target = (databases.create_filled("sqlite", "a@example.com"), databases.create_migrated("postgresql"))
    migrators: list[tuple[object, ...]] = []

    def check_locks(_rows: int) -> None:
        with pytest.raises(OperatorError) as raised:
            execute(target, "LOCK TABLE accounts_user IN ROW EXCLUSIVE MODE NOWAIT")
        assert "could not obtain lock" in str(raised.value.__cause__)
        migrators.extend(execute(target, "SELECT pg_try_advisory_xact_lock(:number)", number=ADVISORY_LOCK_ID))

    databases.run(source, target, progress=check_locks)
    assert {*migrators} == {(False,)}


def test_killed_copy_leaves_the_destination_unchanged(databases: AccountDatabases) -> None:
    source = databases.create_filled("sqlite", "new@example.com")
    existing_targets = [databases.create_filled(kind, "old@example.com") for kind in KINDS]
    missing_targets = [databases.missing_url(kind) for kind in KINDS]
    with paused_copy(databases.names, source, *existing_targets, *missing_targets) as process:
        assert process.pid
        os.killpg(process.pid, signal.SIGKILL)
    assert [two_databases.emails(url) for url in existing_targets] == [["old@example.com"]] * 2
    assert not any(map(two_databases.has_tables, missing_targets))
    for target in (*existing_targets, *missing_targets):
        databases.run(source, target, force=True)
        assert two_databases.emails(target) == ["new@example.com"]
    assert not list(databases.folder.glob("*.tmp*")), "temporary files of the killed copy are removed"
