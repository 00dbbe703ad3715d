"""Copy of the database for a backup: a dump of PostgreSQL, or an SQLite file."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from opportune.config.settings import Settings
from opportune.contrib.backup import pg_dump
from opportune.contrib.backup.archive import ArchiveWriter
from opportune.contrib.backup.pg_programs import INSTALL_HINT
from opportune.contrib.backup.sqlite import DatabaseState, copy_snapshot, inspect_database, merge_wal
from opportune.contrib.copydb.copy import copy
from opportune.db.errors import explain
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.ownership import find_missing_tables, find_other_tables, read_applied_owners
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_file
from opportune.project.installed import features_on_postgresql

WRITE_FAULTS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE)

Notify = Callable[[str], None]


@dataclass(frozen=True)
class AddedDatabase:
    member: str
    """Name of the archive's member."""
    state: DatabaseState
    namespace: str = ""
    """PostgreSQL schema of a dump."""


@dataclass(frozen=True)
class DatabaseCopy:
    """Copies the database of a site into an archive."""

    settings: Settings
    graph: MigrationGraph
    scratch: Path
    """Path for a temporary copy."""
    notify: Notify
    """Called with lines for the operator."""

    def add_to(self, writer: ArchiveWriter) -> AddedDatabase:
        if direct_url(self.settings).kind != "postgresql":
            return self._add_sqlite(writer, self._snapshot_sqlite)
        self._describe_differences()
        obstacle = pg_dump.find_obstacle_to_dump(self.settings)
        if not obstacle:
            return self._add_dump(writer)
        self.notify(f"pg_dump is not used: {obstacle}. The backup contains the tables of the site as SQLite.")
        return self._add_sqlite(writer, self._copy_to_sqlite)

    def _add_sqlite(self, writer: ArchiveWriter, fill: Callable[[], DatabaseState]) -> AddedDatabase:
        with private_file(self.scratch, lock=False):
            database = AddedDatabase("database.sqlite3", fill())
            with self.scratch.open("rb") as file:
                writer.add(database.member, file)
        return database

    def _add_dump(self, writer: ArchiveWriter) -> AddedDatabase:
        with private_file(self.scratch, lock=False) as file, pg_dump.open_dump(self.settings, self.graph) as dump:
            dump.write(self.settings, file)
            pg_dump.refuse_unreadable_dump(self.scratch)
            _compare_rows(dump.state.rows, pg_dump.count_rows_in_dump(self.scratch))
            file.seek(0)
            writer.add("database.dump", file)
            return AddedDatabase("database.dump", dump.state, dump.namespace)

    def _describe_differences(self) -> None:
        """Name the tables that the backup does not contain."""
        with connect(self.settings) as connection:
            tables = pg_dump.find_tables_to_dump(connection, self.graph, read_revisions(connection))
            owners = read_applied_owners(connection, self.graph)
            others = [name for name in find_other_tables(connection, owners) if name not in tables]
            missing = find_missing_tables(connection, owners)
        if others:
            self.notify(
                f"This backup does not contain tables that no feature owns: {', '.join(others)}. If this site needs "
                "them, write models for them (inspectdb), or back them up with pg_dump."
            )
        if missing:
            self.notify(f"This backup lacks {', '.join(missing)}: migrations have created them, but they do not exist.")

    def _snapshot_sqlite(self) -> DatabaseState:
        url = direct_url(self.settings)
        try:
            rows = copy_snapshot(url.path, self.scratch)
        except sqlite3.Error as error:
            if error.sqlite_errorcode in WRITE_FAULTS:
                folder = self.scratch.parent
                raise OperatorError(f"The backup cannot be written to {folder}: {error}. Is its disk full?") from error
            raise OperatorError(explain(error, url)) from error
        state = inspect_database(self.scratch)
        _compare_rows(rows, state.rows)
        return state

    def _copy_to_sqlite(self) -> DatabaseState:
        if names := features_on_postgresql(self.graph.features):
            raise OperatorError(f"The tables of {', '.join(names)} need PostgreSQL: {INSTALL_HINT}.")
        target = DatabaseUrl("sqlite", URL.create("sqlite+aiosqlite", database=str(self.scratch.absolute())))
        reports = copy(direct_url(self.settings), target, self.graph, leave_others=True)
        merge_wal(self.scratch)
        self.scratch.chmod(0o600)
        state = inspect_database(self.scratch)
        copied = {report.name: report.rows for report in reports}
        _compare_rows(copied, {name: count for name, count in state.rows.items() if name in copied})
        return state


def _compare_rows(expected: Mapping[str, int], actual: Mapping[str, int]) -> None:
    """Compare the rows by table of the database with those of the archive."""
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            counts = [f"{rows[name]:,} rows" if name in rows else "no table" for rows in (expected, actual)]
            raise OperatorError(
                f"The backup is incomplete: of {name}, the database has {counts[0]} and the archive has {counts[1]}. "
                "Run this again, and report it if it happens again."
            )
