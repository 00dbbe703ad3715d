"""Restore a backup. Everything is verified before anything is replaced."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.contrib.backup import pg_dump, pg_restore, uploads
from opportune.contrib.backup.archive import USE_ANOTHER_BACKUP, Archive, Manifest, open_archive
from opportune.contrib.backup.marker import RestoreMarker
from opportune.contrib.backup.sqlite import inspect_database, replace_database
from opportune.contrib.copydb.copy import copy
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph, feature_of_revision
from opportune.db.migrations.runner import run_migrations
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.atomic_files import private_file, private_folder, sync_file, temporary_path
from opportune.project.current import OPPMAN
from opportune.storage.location import DatabaseFiles, StorageLocation, parse_storage_url

WORK_FOLDER_PREFIX = "opportune-restore-"
RESTORE_ANYWAY = "To restore it anyway, add --from-another-site."

Confirm = Callable[[Manifest], None]
"""Called after verification and before anything is replaced. Raises to stop the restore."""


@dataclass(frozen=True)
class Target:
    """Site that a backup is restored into."""

    settings: Settings
    graph: MigrationGraph

    @property
    def url(self) -> DatabaseUrl:
        return direct_url(self.settings)

    @property
    def location(self) -> StorageLocation:
        return parse_storage_url(self.settings)


@dataclass(frozen=True)
class Restored:
    """Result of a restore."""

    manifest: Manifest
    previous_database: Path | None
    """New path of the replaced SQLite database."""
    previous_uploads: Path | None = None
    """New path of the replaced folder of uploads."""


def restore_backup(
    path: Path, target: Target, confirm: Confirm, *, argument: str = "", from_another_site: bool = False
) -> Restored:
    """Replace database and uploads with those of a backup.

    Args:
        argument: Argument of the `restore` command, for the message about an interrupted restore.

    Raises:
        OperatorError: Nothing was changed, or only the uploads were not replaced. The message says which.
    """
    is_postgresql = target.url.kind == "postgresql"
    restore_database = _restore_postgresql if is_postgresql else _restore_sqlite
    with open_archive(path) as archive:
        refuse_newer_backup(target.graph, archive)
        if not from_another_site:
            refuse_another_site(target, archive)
        marker = RestoreMarker(target.settings, argument or str(path))
        try:
            with marker.removed_on_exit():
                if is_postgresql and not from_another_site:
                    refuse_unowned_tables(target, archive)
                restored = restore_database(archive, target, confirm, marker)
                if isinstance(target.location, DatabaseFiles) and not target.graph.pending(archive.manifest.revisions):
                    asyncio.run(uploads.put_into_database(archive, target.settings))
            return restored
        except OSError as error:
            raise _restore_error(error, marker) from error


def _restore_error(error: OSError, marker: RestoreMarker) -> OperatorError:
    """Return an error that says how far the restore came, and which file was the problem."""
    subject = "The database is restored, but its uploads" if marker.is_database_replaced else "The backup"
    file = f" ({error.filename})" if error.filename else ""
    return OperatorError(f"{subject} cannot be restored: {error.strerror or error}{file}.")


def _restore_sqlite(archive: Archive, target: Target, confirm: Confirm, marker: RestoreMarker) -> Restored:
    if archive.manifest.database != "database.sqlite3":
        raise OperatorError(
            f"{archive.path} is a PostgreSQL dump: restore it into PostgreSQL (set DATABASE_URL), then copy the "
            f"database with: {OPPMAN} copydb"
        )
    path = target.url.path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new_path = temporary_path(path, "restored")
    with (
        private_file(temporary_path(path)),
        extracted_database(archive, target, new_path),
        uploads.stage_uploads(archive, target.location) as swap_uploads,
    ):
        confirm(archive.manifest)
        with marker.replacing_database():
            previous = replace_database(new_path, path)
        return Restored(archive.manifest, previous, swap_uploads())


def _restore_postgresql(archive: Archive, target: Target, confirm: Confirm, marker: RestoreMarker) -> Restored:
    with private_folder(WORK_FOLDER_PREFIX) as folder, uploads.stage_uploads(archive, target.location) as swap_uploads:
        path = folder / archive.manifest.database
        with extracted_database(archive, target, path):
            if archive.manifest.database == "database.dump":
                pg_dump.refuse_unreadable_dump(path)
                confirm(archive.manifest)
                with marker.replacing_database():
                    pg_restore.restore(target.settings, target.graph, archive.manifest, path)
            else:
                source = migrate_sqlite_file(path, target)
                confirm(archive.manifest)
                with marker.replacing_database():
                    copy(source, target.url, target.graph, force=True)
        return Restored(archive.manifest, None, swap_uploads())


@contextmanager
def extracted_database(archive: Archive, target: Target, path: Path) -> Iterator[None]:
    """Extract the database to `path` for the duration of the block. A SQLite file is also verified."""
    with private_file(path, lock=False) as file:
        archive.extract(archive.manifest.database, file)
        sync_file(file)
        if archive.manifest.database == "database.sqlite3":
            _check_sqlite(path, archive, target)
            sync_file(file)
        yield


def _check_sqlite(path: Path, archive: Archive, target: Target) -> None:
    if path.stat().st_size == 0:  # to SQLite an empty file is a database without tables
        raise OperatorError(f"{archive.path} is damaged: its database is empty. {USE_ANOTHER_BACKUP}")
    try:
        state = inspect_database(path)
    except OperatorError as error:
        raise OperatorError(f"{archive.path} is not restored. {error}") from error
    if state.revisions != sorted(archive.manifest.revisions) or state.tables != sorted(archive.manifest.tables):
        raise OperatorError(f"{archive.path} is damaged: its database differs from its manifest. {USE_ANOTHER_BACKUP}")
    missing = sorted(Model.metadata.tables.keys() - set(state.tables))
    if missing and not target.graph.pending(state.revisions):
        raise OperatorError(
            f"{archive.path} is not restored: it lacks the table {missing[0]}, which its migrations create."
        )


def refuse_newer_backup(graph: MigrationGraph, archive: Archive) -> None:
    if not archive.manifest.revisions:
        raise OperatorError(f"{archive.path} is not restored: its database has no migrations.")
    if newer := graph.newer_revisions(archive.manifest.revisions):
        raise OperatorError(
            f"{archive.path} was made by newer code and has migrations that are missing here ({', '.join(newer)}): "
            "update the code, then restore it."
        )


def refuse_another_site(target: Target, archive: Archive) -> None:
    """Raise OperatorError for a backup of another site, or with migrations of features that are not installed."""
    manifest = archive.manifest
    hosts = {urlsplit(url).hostname for url in (manifest.base_url, target.settings.base_url) if url}
    has_another_name = manifest.site not in ("", target.settings.site_name)
    if has_another_name or len(hosts) > 1:
        origin = " at ".join(filter(None, (manifest.site, manifest.base_url)))
        raise OperatorError(f"{archive.path} is a backup of another site, {origin}. {RESTORE_ANYWAY}")
    if unknown := target.graph.removed_revisions(manifest.revisions):
        features = ", ".join(sorted({feature_of_revision(revision) for revision in unknown}))
        raise OperatorError(
            f"{archive.path} has migrations of features that are not installed here: {features}. {RESTORE_ANYWAY}"
        )


def refuse_unowned_tables(target: Target, archive: Archive) -> None:
    """Raise OperatorError if a dump has tables that exist and belong to other programs or to removed features."""
    if archive.manifest.database != "database.dump":
        return
    if names := pg_restore.find_unowned_tables(target.settings, target.graph, archive.manifest):
        raise OperatorError(
            f"{archive.path} would replace tables that no installed feature owns: {', '.join(names)}. {RESTORE_ANYWAY}"
        )


def migrate_sqlite_file(path: Path, target: Target) -> DatabaseUrl:
    """Apply pending migrations to a SQLite file and return its URL: rows are only copied between equal schemas."""
    settings = with_database(target.settings, f"sqlite:///{quote(str(path))}")
    with connect(settings) as connection:
        run_migrations(connection, target.graph)
    return direct_url(settings)


def with_database(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(url), "database_direct_url": SecretStr("")})
