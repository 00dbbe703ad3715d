"""Rehearsal of a restore: restore into a temporary database and compare its rows with the backup's manifest."""

import re
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from opportune.config.settings import Settings
from opportune.contrib.backup import pg_dump, pg_restore, restore
from opportune.contrib.backup.archive import Archive, open_archive
from opportune.contrib.backup.opening import open_backup
from opportune.contrib.backup.scratch import scratch_folder
from opportune.contrib.backup.sqlite import inspect_database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.runner import run_migrations
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.plurals import pluralize

DATABASE_PREFIX = "opportune_rehearsal_"
ABANDONED_DATABASE = re.compile(rf"{DATABASE_PREFIX}(\d+)_[0-9a-f]{{8}}")
ABANDONED_AFTER_SECONDS = 86_400


@dataclass(frozen=True)
class Rehearsal:
    """Result of a rehearsal."""

    backup: str
    tables: int
    rows: int
    uploads: int
    seconds: float
    """Duration of the restore without the download."""
    target_description: str
    """Temporary target, such as `into SQLite`."""

    def __str__(self) -> str:
        tables = pluralize(self.tables, "table")
        counts = f"{tables} with {pluralize(self.rows, 'row')} and {pluralize(self.uploads, 'upload')}"
        return f"{self.backup}: {counts} match the backup ({self.target_description}, {self.seconds:.0f} s)"


def rehearse(settings: Settings, graph: MigrationGraph, name: str = "") -> Rehearsal:
    """Restore a backup into a temporary database, by default the newest at BACKUP_URL. The site is not changed.

    Checksums and the number of rows per table are compared with the manifest.
    """
    with open_backup(settings, name) as backup, scratch_folder() as folder:
        start = time.monotonic()
        try:
            with open_archive(backup.path) as archive:
                restore.refuse_newer_backup(graph, archive)
                archive.check()
                restored = _restore_database(archive, restore.Target(settings, graph), folder)
                _compare_row_counts(archive, restored.rows)
                uploads = len(archive.manifest.uploads)
        except OSError as error:
            raise OperatorError(f"{backup.name} cannot be restored in {folder}: {error.strerror or error}.") from error
        except OperatorError as error:
            raise OperatorError(str(error).replace(str(backup.path), backup.name)) from error
        seconds = time.monotonic() - start
    rows = sum(restored.rows.values())
    return Rehearsal(backup.name, len(restored.rows), rows, uploads, seconds, restored.target_description)


class _RestoredDatabase(NamedTuple):
    target_description: str
    rows: Mapping[str, int]
    """Number of rows per table."""


def _restore_database(archive: Archive, target: restore.Target, folder: Path) -> _RestoredDatabase:
    path = folder / archive.manifest.database
    with restore.extracted_database(archive, target, path):
        if archive.manifest.database == "database.dump":
            pg_dump.refuse_unreadable_dump(path)
            return _restore_dump(archive, target, path)
        counts = inspect_database(path).rows
        _refuse_dangling_references(path)
        restore.migrate_sqlite_file(path, target)
        return _RestoredDatabase("into SQLite", counts)


def _restore_dump(archive: Archive, target: restore.Target, path: Path) -> _RestoredDatabase:
    with _temporary_database(target.settings) as settings:
        if settings is None:
            counts = pg_dump.count_rows_in_dump(path)
            return _RestoredDatabase("read but not restored: this user may not create databases", counts)
        with connect(settings) as connection:  # creates the extensions that its tables need
            run_migrations(connection, target.graph)
        pg_restore.restore(settings, target.graph, archive.manifest, path)
        with connect(settings) as connection:
            return _RestoredDatabase("into a new database", _count_restored_rows(connection, archive))


def _count_restored_rows(connection: Connection, archive: Archive) -> dict[str, int]:
    try:
        return pg_dump.count_rows(connection, archive.manifest.rows)
    except DBAPIError as error:
        raise OperatorError(f"{archive.path} misses a table after the restore: {error.orig}") from error


def _compare_row_counts(archive: Archive, counts: Mapping[str, int]) -> None:
    for table, rows in archive.manifest.rows.items():
        if counts.get(table) != rows:
            raise OperatorError(
                f"{archive.path} has {counts.get(table, 0):,} rows in {table} after the restore, but {rows:,} when it "
                "was made. Use another backup."
            )


def _refuse_dangling_references(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        violation = connection.execute("PRAGMA foreign_key_check").fetchone()
    if violation:
        raise OperatorError(f"A row of {violation[0]} refers to a missing row of {violation[2]}. Run `doctor`.")


@contextmanager
def _temporary_database(settings: Settings) -> Iterator[Settings | None]:
    """Yield settings of a new database on the same server, or None if this user may not create one."""
    name = f"{DATABASE_PREFIX}{int(time.time())}_{secrets.token_hex(4)}"
    if direct_url(settings).pooled or not _create_database(settings, name):
        yield None
        return
    try:
        yield restore.with_database(settings, _url_on_same_server(settings, name))
    finally:
        with connect(settings) as connection:
            _drop_database(connection, name)


def _create_database(settings: Settings, name: str) -> bool:
    """Create a database, and drop those of killed runs. Return False if it cannot be created."""
    with connect(settings) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0")
        except DBAPIError:
            return False
        for old in connection.scalars(text("SELECT datname FROM pg_database")).all():
            match = ABANDONED_DATABASE.fullmatch(old)
            if match and int(match[1]) < time.time() - ABANDONED_AFTER_SECONDS:
                _drop_database(connection, old)
    return True


def _drop_database(connection: Connection, name: str) -> None:
    connection.execution_options(isolation_level="AUTOCOMMIT")
    with suppress(DBAPIError):
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def _url_on_same_server(settings: Settings, database_name: str) -> str:
    url = direct_url(settings)
    return url.url.set(database=database_name, password=url.read_password()).render_as_string(hide_password=False)
