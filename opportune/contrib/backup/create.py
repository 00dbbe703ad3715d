"""Create a backup."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from opportune import __version__
from opportune.config.settings import Settings
from opportune.contrib.backup import postgresql, uploads
from opportune.contrib.backup.archive import ArchiveWriter, Manifest, Sink, open_archive
from opportune.contrib.backup.sqlite import DatabaseState, copy_snapshot, inspect_database, merge_wal
from opportune.contrib.backup.uploads import add_bucket_uploads
from opportune.contrib.copydb.copy import copy
from opportune.db.errors import explain
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions, read_revisions_of_site
from opportune.db.migrations.ownership import find_missing_tables, find_other_tables, read_applied_owners
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.atomic_files import open_replacement, private_file, remove_abandoned_in, temporary_path
from opportune.project.installed import features_on_postgresql
from opportune.project.layout import PROJECT
from opportune.storage.location import Bucket, DatabaseFiles, StorageLocation, parse_storage_url

BACKUP_FOLDER = PROJECT / "data" / "backups"
DATABASE_SUFFIX = "database"
WRITE_FAULTS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE)
NOT_MIGRATED = "Nothing to back up: the database has no migrations. Run: python3 oppman.py migrate"

Notify = Callable[[str], None]


def create_backup(settings: Settings, graph: MigrationGraph, destination: Path | None, notify: Notify) -> Path:
    """Back up database and uploads into one file and verify it.

    Args:
        destination: File to write, or folder for a file named after the time. Default: `data/backups`.
        notify: Called with lines for the operator.

    Raises:
        OperatorError: The backup failed. An existing file at the destination is unchanged.
    """
    url = direct_url(settings)
    refuse_unmigrated(settings)
    path = choose_destination(destination, url)
    try:
        remove_abandoned_in(path.parent)
        with open_replacement(path) as file:
            write_archive(settings, graph, file, temporary_path(path, DATABASE_SUFFIX), notify)
            with open_archive(temporary_path(path)) as archive:
                archive.check()
    except OSError as error:
        raise OperatorError(f"The backup {path} cannot be written: {error.strerror or error}.") from error
    return path


def refuse_unmigrated(settings: Settings) -> None:
    """Raise OperatorError if the database has no migrations."""
    if not read_revisions_of_site(settings):
        raise OperatorError(NOT_MIGRATED)


def write_archive(
    settings: Settings, graph: MigrationGraph, file: Sink, scratch: Path, notify: Notify, *, with_bucket: bool = False
) -> Manifest:
    """Write database and uploads into a stream that only has to support `write`.

    Args:
        scratch: Path for a temporary copy of the database.
        with_bucket: Include uploads of a bucket. Otherwise the manifest names the bucket.
    """
    url, location = direct_url(settings), parse_storage_url(settings)
    with ArchiveWriter(file) as writer:
        database = _add_database(writer, settings, graph, scratch, notify)
        bucket = elsewhere = ""
        if with_bucket and isinstance(location, Bucket):
            add_bucket_uploads(writer, location)
            bucket = location.label
        else:
            elsewhere = _add_uploads(writer, location, notify)
        manifest = Manifest(
            created=datetime.now(UTC),
            program=__version__,
            site=settings.site_name,
            base_url=settings.base_url,
            source=url.redacted,
            kind=url.kind,
            elsewhere=elsewhere,
            bucket=bucket,
            members=writer.members,
            **database,
        )
        writer.finish(manifest)
    return manifest


def choose_destination(destination: Path | None, url: DatabaseUrl) -> Path:
    """Return the file to write.

    Raises:
        OperatorError: The folder does not exist, or the file exists and is not a backup.
    """
    if destination is None or destination.resolve() == BACKUP_FOLDER.resolve():  # the systemd timer passes this folder
        destination = BACKUP_FOLDER
        try:
            BACKUP_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OperatorError(f"The folder {BACKUP_FOLDER} cannot be created: {error.strerror}.") from error
    if destination.is_dir():
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{url.kind}"
        names = (f"{stem}.zip", *(f"{stem}-{number}.zip" for number in range(2, 100)))
        return next(path for name in names if not (path := destination / name).exists())
    if destination.suffix != ".zip" and not destination.exists():  # a missing folder must not become a file
        raise OperatorError(f"The folder {destination} does not exist: create it, or name a file that ends in .zip.")
    if not destination.parent.is_dir():
        raise OperatorError(f"The folder {destination.parent} does not exist: create it, or choose another one.")
    if destination.exists() or destination.is_symlink():
        _refuse_unrelated_file(destination)
    return destination


def prune(newest: Path, keep: int) -> list[Path]:
    """Delete older backups of the same database in the folder of `newest`, so that `keep` remain."""
    with open_archive(newest) as archive:
        source = archive.manifest.source
    older: list[tuple[datetime, Path]] = []
    for path in newest.parent.glob("*.zip"):
        if path == newest or path.is_symlink() or not path.is_file():
            continue
        with suppress(OperatorError), open_archive(path) as archive:  # other zip files are no backups
            if archive.manifest.source == source:
                older.append((archive.manifest.created, path))
    old_backups = [path for _, path in sorted(older, reverse=True)[keep - 1 :]]
    for path in old_backups:
        path.unlink(missing_ok=True)
    return old_backups


def _add_database(
    writer: ArchiveWriter, settings: Settings, graph: MigrationGraph, path: Path, notify: Notify
) -> dict[str, Any]:
    """Add a snapshot, using a temporary file at `path`. Return the fields of the manifest that describe it."""
    if direct_url(settings).kind != "postgresql":
        return _add_sqlite(writer, path, partial(_snapshot_sqlite, settings))
    _describe_differences(settings, graph, notify)
    reason = postgresql.find_reason_against_dump(settings)
    if not reason:
        return _add_dump(writer, settings, graph, path)
    notify(f"pg_dump is not used: {reason}. The backup contains the tables of the site as SQLite.")
    return _add_sqlite(writer, path, partial(_copy_to_sqlite, settings, graph))


def _add_sqlite(writer: ArchiveWriter, path: Path, fill: Callable[[Path], DatabaseState]) -> dict[str, Any]:
    with private_file(path, lock=False):
        state = fill(path)
        with path.open("rb") as file:
            writer.add("database.sqlite3", file)
    return {"database": "database.sqlite3", **asdict(state)}


def _describe_differences(settings: Settings, graph: MigrationGraph, notify: Notify) -> None:
    """Name the tables that the backup does not contain."""
    with connect(settings) as connection:
        tables = postgresql.find_tables_to_dump(connection, graph, read_revisions(connection))
        owners = read_applied_owners(connection, graph)
        others = [name for name in find_other_tables(connection, owners) if name not in tables]
        missing = find_missing_tables(connection, owners)
    if others:
        notify(
            f"This backup does not contain tables that no feature owns: {', '.join(others)}. If this site needs them, "
            "write models for them (inspectdb), or back them up with pg_dump."
        )
    if missing:
        notify(f"This backup lacks {', '.join(missing)}: migrations have created them, but they do not exist.")


def _add_uploads(writer: ArchiveWriter, location: StorageLocation, notify: Notify) -> str:
    """Add the uploads if they are in a folder. Otherwise return the label of the storage that holds them."""
    if isinstance(location, Path):
        uploads.add_uploads(writer, location)
        return ""
    if not isinstance(location, DatabaseFiles):  # the database contains its uploads
        notify(f"This backup does not contain the uploads in {location.label}: back up the bucket separately.")
    return location.label


def _add_dump(writer: ArchiveWriter, settings: Settings, graph: MigrationGraph, path: Path) -> dict[str, Any]:
    with private_file(path, lock=False) as file, postgresql.open_dump(settings, graph) as dump:
        dump.write(settings, file)
        postgresql.refuse_unreadable_dump(path)
        _compare_rows(dump.state.rows, postgresql.count_rows_in_dump(path))
        file.seek(0)
        writer.add("database.dump", file)
        return {"database": "database.dump", "namespace": dump.namespace, **asdict(dump.state)}


def _snapshot_sqlite(settings: Settings, path: Path) -> DatabaseState:
    url = direct_url(settings)
    try:
        rows = copy_snapshot(url.path, path)
    except sqlite3.Error as error:
        if error.sqlite_errorcode in WRITE_FAULTS:
            raise OperatorError(f"The backup cannot be written to {path.parent}: {error}. Is its disk full?") from error
        raise OperatorError(explain(error, url)) from error
    state = inspect_database(path)
    _compare_rows(rows, state.rows)
    return state


def _copy_to_sqlite(settings: Settings, graph: MigrationGraph, path: Path) -> DatabaseState:
    if names := features_on_postgresql(graph.features):
        raise OperatorError(f"The tables of {', '.join(names)} need PostgreSQL: {postgresql.INSTALL_HINT}.")
    target = DatabaseUrl("sqlite", URL.create("sqlite+aiosqlite", database=str(path.absolute())))
    reports = copy(direct_url(settings), target, graph, leave_others=True)
    merge_wal(path)
    path.chmod(0o600)
    state, rows = inspect_database(path), {report.name: report.rows for report in reports}
    _compare_rows(rows, {name: count for name, count in state.rows.items() if name in rows})
    return state


def _compare_rows(expected: Mapping[str, int], actual: Mapping[str, int]) -> None:
    """Compare the rows by table of the database with those of the archive.

    Raises:
        OperatorError: The archive is incomplete.
    """
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            counts = [f"{rows[name]:,} rows" if name in rows else "no table" for rows in (expected, actual)]
            raise OperatorError(
                f"The backup is incomplete: of {name}, the database has {counts[0]} and the archive has {counts[1]}. "
                "Run this again, and report it if it happens again."
            )


def _refuse_unrelated_file(path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        raise OperatorError(f"{path} is not a regular file. Choose another name.")
    try:
        with open_archive(path):
            pass
    except OperatorError as error:
        raise OperatorError(f"{path} exists and is not a backup: remove it, or choose another name.") from error
