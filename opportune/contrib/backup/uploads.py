"""Back up and restore uploads in a folder, a bucket or the database."""

import mimetypes
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from opportune.config.settings import Settings
from opportune.contrib.backup.archive import UPLOADS, Archive, ArchiveWriter
from opportune.contrib.backup.sqlite import PREVIOUS_SUFFIX
from opportune.contrib.backup.unused_paths import unused_path
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.progress import work
from opportune.project import atomic_files
from opportune.storage import MissingFileError, StorageError, open_storage
from opportune.storage.bucket import file_headers, open_bucket, summarize
from opportune.storage.location import Bucket, StorageLocation
from opportune.storage.storage import is_name

if TYPE_CHECKING:
    from obstore.store import S3Store

TIMEOUT = timedelta(seconds=60)
"""Time limit of requests to a bucket."""


def add_uploads(writer: ArchiveWriter, folder: Path) -> None:
    """Add the files of a folder to an archive, without links and files that are deleted during the backup."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    with work("Packing uploads", len(files), "files") as progress:
        for path in files:
            if atomic_files.TEMPORARY_INFIX not in path.name:
                _refuse_invalid_name(path)
                with suppress(FileNotFoundError), path.open("rb") as file:
                    writer.add(UPLOADS + path.relative_to(folder).as_posix(), file)
            progress.advance()


def _refuse_invalid_name(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise OperatorError(
            f"The name of the upload {str(path)!a} is not UTF-8: rename the file, then run this again."
        ) from error


Swap = Callable[[], Path | None]
"""Replaces the current folder of uploads. Returns the new path of the old folder if it contained files, else None."""


@contextmanager
def stage_uploads(archive: Archive, location: StorageLocation) -> Iterator[Swap]:
    """Extract and verify the uploads of an archive next to their final folder, and yield how to replace it.

    Uploads of a bucket are written to the bucket immediately, because additional files do no harm.
    """
    if isinstance(location, Bucket) and archive.manifest.bucket:
        restore_missing_uploads(archive, location)
    if not isinstance(location, Path) or archive.manifest.elsewhere:  # the archive contains no uploads for a folder
        yield lambda: None
        return
    location = location.resolve()
    if os.path.ismount(location):  # mypy refuses Path.is_mount for Windows
        raise OperatorError(f"{location} is a mount point and cannot be replaced: mount its parent folder instead.")
    location.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = atomic_files.temporary_path(location, "restored")
    with atomic_files.private_file(atomic_files.temporary_path(location)):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(mode=0o700)
            _extract_uploads(archive, folder)
            yield partial(replace_folder, location, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _extract_uploads(archive: Archive, folder: Path) -> None:
    with work("Unpacking uploads", len(archive.manifest.uploads), "files") as progress:
        for member in archive.manifest.uploads:
            path = folder / member.removeprefix(UPLOADS)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as file:
                archive.extract(member, file)
                atomic_files.sync_file(file)
            progress.advance()
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            atomic_files.sync_folder(path)


async def put_into_database(archive: Archive, settings: Settings) -> None:
    """Store the uploads of an archive in the database (`STORAGE_URL=database:`).

    Raises:
        OperatorError: The database is restored, but an upload is not.
    """
    database = open_database(settings)
    storage = open_storage(settings, database)
    try:
        with work("Storing uploads", len(archive.manifest.uploads), "files") as progress:
            for name in archive.manifest.uploads:
                await storage.put(name.removeprefix(UPLOADS), archive.read(name), "")
                progress.advance()
    except (StorageError, MissingFileError) as error:
        raise OperatorError(
            f"The database is restored, but the upload {name} cannot be stored: {error} Unpack {UPLOADS} of the "
            "archive and set STORAGE_URL to that folder."
        ) from error
    finally:
        await database.dispose()


def replace_folder(location: Path, new: Path) -> Path | None:
    previous = None
    if location.exists():
        atomic_files.copy_owner(location, new)
        previous = _keep_previous(location)
    new.rename(location)
    atomic_files.sync_folder(location.parent)
    return previous


def _keep_previous(location: Path) -> Path | None:
    if not any(location.iterdir()):
        location.rmdir()
        return None
    return location.rename(unused_path(location.with_name(location.name + PREVIOUS_SUFFIX)))


def add_bucket_uploads(writer: ArchiveWriter, bucket: Bucket) -> None:
    """Add the site's uploads to an archive, without files that are deleted during the backup."""
    from obstore import open_reader

    with _open_client(bucket) as client, work("Packing uploads", unit="files") as progress:
        for name in _upload_names(client):
            with suppress(FileNotFoundError):
                writer.add(UPLOADS + name, open_reader(client, name))
            progress.advance()


def restore_missing_uploads(archive: Archive, bucket: Bucket) -> None:
    """Restore uploads missing in the bucket. Existing files are skipped, because names are never reused."""
    from obstore import put

    with _open_client(bucket) as client:
        existing = set(_upload_names(client))
        archived = [member.removeprefix(UPLOADS) for member in archive.manifest.uploads]
        missing = [name for name in archived if name not in existing]
        with work("Restoring uploads", len(missing), "files") as progress:
            for name in missing:
                media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
                put(client, name, archive.read(UPLOADS + name), attributes=file_headers(media_type))
                progress.advance()


def _upload_names(client: "S3Store") -> Iterable[str]:
    return filter(is_name, (str(item["path"]) for page in client.list() for item in page))


@contextmanager
def _open_client(bucket: Bucket) -> "Iterator[S3Store]":
    from obstore.exceptions import BaseError

    try:
        yield open_bucket(bucket, TIMEOUT, TIMEOUT)
    except BaseError as error:
        raise OperatorError(f"The uploads in {bucket.label} cannot be reached: {summarize(error)}.") from error
