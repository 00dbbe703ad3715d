"""Create a backup."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL

from opportune import __version__
from opportune.config.project import PROJECT
from opportune.config.settings import Settings
from opportune.db.errors import explain
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.db.url.database_url import DatabaseURL
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.ops.backup import postgresql, uploads
from opportune.ops.backup.archive import ArchiveWriter, Content, Manifest, Sink, open_archive
from opportune.ops.backup.bucket_uploads import add_bucket_uploads
from opportune.ops.backup.sqlite import DatabaseState, copy_snapshot, inspect_database, merge_wal
from opportune.ops.copydb import copy
from opportune.runtime.atomic_files import open_replacement, private_file, remove_abandoned_in, temporary_path
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
        content, namespace, state = _add_database(writer, settings, graph, scratch, notify)
        bucket = location if with_bucket and isinstance(location, Bucket) else None
        elsewhere = "" if bucket else _add_uploads(writer, location, notify)
        if bucket:
            add_bucket_uploads(writer, bucket)
        manifest = Manifest(
            created=datetime.now(UTC),
            program=__version__,
            site=settings.site_name,
            base_url=settings.base_url,
            source=url.redacted,
            kind=url.kind,
            database=content,
            namespace=namespace,
            elsewhere=elsewhere,
            bucket=bucket.label if bucket else "",
            revisions=state.revisions,
            tables=state.tables,
            rows=state.rows,
            members=writer.members,
        )
        writer.finish(manifest)
    return manifest


def choose_destination(destination: Path | None, url: DatabaseURL) -> Path:
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
        with suppress(OperatorError):  # a zip file that is not a backup
            if path != newest and path.is_file() and not path.is_symlink():
                with open_archive(path) as archive:
                    if archive.manifest.source == source:
                        older.append((archive.manifest.created, path))
    old_backups = [path for _, path in sorted(older, reverse=True)[keep - 1 :]]
    for path in old_backups:
        path.unlink(missing_ok=True)
    return old_backups


def _add_database(
    writer: ArchiveWriter, settings: Settings, graph: MigrationGraph, path: Path, notify: Notify
) -> tuple[Content, str, DatabaseState]:
    """Add a snapshot, using a temporary file at `path`.

    Returns:
        The member's name, the PostgreSQL schema of a dump, and the state.
    """
    if direct_url(settings).kind != "postgresql":
        copy_to: Callable[..., DatabaseState] = _snapshot_sqlite
    elif reason := postgresql.find_reason_against_dump(settings):
        notify(f"pg_dump is not used: {reason}. The backup contains the tables of the models as SQLite.")
        copy_to = _copy_to_sqlite
    else:
        return _add_dump(writer, settings, graph, path)
    with private_file(path, lock=False):
        state = copy_to(settings, graph, path)
        with path.open("rb") as file:
            writer.add("database.sqlite3", file)
    return "database.sqlite3", "", state


def _add_uploads(writer: ArchiveWriter, location: StorageLocation, notify: Notify) -> str:
    """Add the uploads if they are in a folder. Otherwise return the label of the storage that holds them."""
    if isinstance(location, Path):
        uploads.add_uploads(writer, location)
        return ""
    if not isinstance(location, DatabaseFiles):  # the database contains its uploads
        notify(f"This backup does not contain the uploads in {location.label}: back up the bucket separately.")
    return location.label


def _add_dump(
    writer: ArchiveWriter, settings: Settings, graph: MigrationGraph, path: Path
) -> tuple[Content, str, DatabaseState]:
    with private_file(path, lock=False) as file, postgresql.open_dump(settings, graph) as dump:
        dump.write(settings, file)
        postgresql.refuse_unreadable_dump(path)
        file.seek(0)
        writer.add("database.dump", file)
        return "database.dump", dump.namespace, dump.state


def _snapshot_sqlite(settings: Settings, _graph: MigrationGraph, path: Path) -> DatabaseState:
    url = direct_url(settings)
    try:
        copy_snapshot(url.path, path)
    except sqlite3.Error as error:
        if error.sqlite_errorcode in WRITE_FAULTS:
            raise OperatorError(f"The backup cannot be written to {path.parent}: {error}. Is its disk full?") from error
        raise OperatorError(explain(error, url)) from error
    return inspect_database(path)


def _copy_to_sqlite(settings: Settings, graph: MigrationGraph, path: Path) -> DatabaseState:
    copy(direct_url(settings), DatabaseURL("sqlite", URL.create("sqlite+aiosqlite", database=str(path))), graph)
    merge_wal(path)
    path.chmod(0o600)
    return inspect_database(path)


def _refuse_unrelated_file(path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        raise OperatorError(f"{path} is not a regular file. Choose another name.")
    try:
        with open_archive(path):
            pass
    except OperatorError as error:
        raise OperatorError(f"{path} exists and is not a backup: remove it, or choose another name.") from error
