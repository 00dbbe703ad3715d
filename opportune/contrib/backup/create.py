"""Create a backup."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from opportune import __version__
from opportune.config.settings import Settings
from opportune.contrib.backup import uploads
from opportune.contrib.backup.archive import ArchiveWriter, Manifest, Sink, open_archive
from opportune.contrib.backup.database_copy import DatabaseCopy, Notify
from opportune.contrib.backup.unused_paths import unused_path
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.atomic_files import open_replacement, remove_abandoned_in, temporary_path
from opportune.project.current import OPPMAN
from opportune.project.layout import PROJECT
from opportune.storage.location import Bucket, DatabaseFiles, StorageLocation, parse_storage_url

BACKUP_FOLDER = PROJECT / "data" / "backups"


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
    replaced_time = _read_time(path) if path.exists() or path.is_symlink() else None
    try:
        remove_abandoned_in(path.parent)
        with open_replacement(path) as file:
            write_archive(settings, graph, file, temporary_path(path, "database"), notify)
            with open_archive(temporary_path(path)) as archive:
                archive.check()
    except OSError as error:
        raise OperatorError(f"The backup {path} cannot be written: {error.strerror or error}.") from error
    if replaced_time:
        notify(f"it replaced the backup of {replaced_time:%Y-%m-%d %H:%M} UTC.")
    return path


def refuse_unmigrated(settings: Settings) -> None:
    """Raise OperatorError if the database has no migrations."""
    if not read_revisions_of_site(settings):
        raise OperatorError(f"Nothing to back up: the database has no migrations. Run: {OPPMAN} migrate")


def write_archive(
    settings: Settings, graph: MigrationGraph, file: Sink, scratch: Path, notify: Notify, *, with_bucket: bool = False
) -> Manifest:
    """Write database and uploads into a stream that only has to support `write`.

    Args:
        scratch: Path for a temporary copy of the database.
        with_bucket: Include uploads of a bucket. Otherwise the manifest names the bucket.
    """
    url = direct_url(settings)
    location = parse_storage_url(settings)
    with ArchiveWriter(file) as writer:
        database = DatabaseCopy(settings, graph, scratch, notify).add_to(writer)
        bucket = elsewhere = ""
        if with_bucket and isinstance(location, Bucket):
            uploads.add_bucket_uploads(writer, location)
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
            database=database.member,
            namespace=database.namespace,
            elsewhere=elsewhere,
            bucket=bucket,
            revisions=database.state.revisions,
            tables=database.state.tables,
            rows=database.state.rows,
            members=writer.members,
        )
        writer.finish(manifest)
    return manifest


def choose_destination(destination: Path | None, url: DatabaseUrl) -> Path:
    """Return the file to write. Its folder must exist."""
    if destination is None or destination.resolve() == BACKUP_FOLDER.resolve():  # the systemd timer passes this folder
        destination = BACKUP_FOLDER
        try:
            BACKUP_FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OperatorError(f"The folder {BACKUP_FOLDER} cannot be created: {error.strerror}.") from error
    if destination.is_dir():
        return unused_path(destination / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{url.kind}", ".zip")
    if destination.suffix != ".zip" and not destination.exists():  # a missing folder must not become a file
        raise OperatorError(f"The folder {destination} does not exist: create it, or name a file that ends in .zip.")
    if not destination.parent.is_dir():
        raise OperatorError(f"The folder {destination.parent} does not exist: create it, or choose another one.")
    return destination


def backups_in(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield the backups in a folder with their manifests. Other files are ignored."""
    for path in folder.glob("*.zip"):
        with suppress(OperatorError, OSError), open_archive(path) as archive:
            yield path, archive.manifest


def prune(newest: Path, keep: int) -> list[Path]:
    """Delete older backups of the same database in the folder of `newest`, so that `keep` remain."""
    with open_archive(newest) as archive:
        source = archive.manifest.source
    older = [
        (manifest.created, path)
        for path, manifest in backups_in(newest.parent)
        if manifest.source == source and path != newest and not path.is_symlink()
    ]
    old_backups = [path for _, path in sorted(older, reverse=True)[keep - 1 :]]
    for path in old_backups:
        path.unlink(missing_ok=True)
    return old_backups


def _add_uploads(writer: ArchiveWriter, location: StorageLocation, notify: Notify) -> str:
    """Add the uploads if they are in a folder. Otherwise return the label of the storage that holds them."""
    if isinstance(location, Path):
        uploads.add_uploads(writer, location)
        return ""
    if not isinstance(location, DatabaseFiles):  # the database contains its uploads
        notify(f"This backup does not contain the uploads in {location.label}: back up the bucket separately.")
    return location.label


def _read_time(path: Path) -> datetime:
    """Return the time of an existing backup.

    Raises:
        OperatorError: The file is not a backup.
    """
    if path.is_symlink() or not path.is_file():
        raise OperatorError(f"{path} is not a regular file. Choose another name.")
    try:
        with open_archive(path) as archive:
            return archive.manifest.created
    except OperatorError as error:
        raise OperatorError(f"{path} exists and is not a backup: remove it, or choose another name.") from error
