"""The files that people have uploaded."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from opportune.config.settings import Settings
from opportune.config.site_settings import DEFAULT_MAX_UPLOAD_BYTES
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.ops.backup.archive import UPLOADS, Archive, ArchiveWriter
from opportune.ops.backup.bucket_uploads import put_missing
from opportune.ops.backup.sqlite import KEPT_SUFFIX
from opportune.runtime.atomic_files import TEMPORARY, private_file, sync, sync_folder, temporary, unused
from opportune.runtime.progress import work
from opportune.storage import MissingFileError, StorageError, open_storage
from opportune.storage.location import Bucket, Place


def add_uploads(writer: ArchiveWriter, folder: Path) -> None:
    """Add those in a folder to an archive. Links are not followed; what is removed meanwhile is left out.

    Raises:
        OperatorError: an archive cannot hold the name of one.
    """
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    with work("Packing uploads", len(found), "files") as progress:
        for path in found:
            if TEMPORARY not in path.name:
                _refuse_unnamable(path)
                with suppress(FileNotFoundError), path.open("rb") as file:
                    writer.add(UPLOADS + path.relative_to(folder).as_posix(), file)
            progress.advance()


def _refuse_unnamable(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise OperatorError(
            f"The upload {str(path)!a} has a name that is not UTF-8: rename it, then run this again."
        ) from error


@contextmanager
def stage_uploads(archive: Archive, place: Place) -> Iterator["StagedUploads"]:
    """Extract and check the uploads of an archive beside the folder that they belong to.

    Uploads from a bucket go into the bucket immediately: additional files do no harm.

    Raises:
        OperatorError: the folder cannot be replaced.
    """
    if not isinstance(place, Path):
        if isinstance(place, Bucket) and archive.manifest.bucket:
            put_missing(archive, place)
        yield StagedUploads(None)
        return
    if archive.manifest.elsewhere:  # the archive has none of them
        yield StagedUploads(None)
        return
    place = place.resolve()
    if os.path.ismount(place):  # mypy refuses Path.is_mount for Windows
        raise OperatorError(f"{place} is a mount point, so it cannot be replaced: mount the folder above it instead.")
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = temporary(place, "restored")
    with private_file(temporary(place)):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(mode=0o700)
            _extract(archive, folder)
            yield StagedUploads(folder, place)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _extract(archive: Archive, folder: Path) -> None:
    with work("Unpacking uploads", len(archive.uploads), "files") as progress:
        for member in archive.uploads:
            path = folder / member.removeprefix(UPLOADS)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as file:
                archive.extract(member, file)
                sync(file)
            progress.advance()
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)


async def put_into_database(archive: Archive, settings: Settings) -> None:
    """Keep the uploads of an archive, which were in a folder, as STORAGE_URL=database: does.

    Raises:
        OperatorError: the database is restored, and not all of them are there.
    """
    database = open_database(settings)
    storage = open_storage(settings, database)
    try:
        with work("Keeping uploads", len(archive.uploads), "files") as progress:
            for name in archive.uploads:
                with SpooledTemporaryFile(DEFAULT_MAX_UPLOAD_BYTES) as file:
                    archive.extract(name, cast("BinaryIO", file))
                    file.seek(0)
                    await storage.put(name.removeprefix(UPLOADS), file.read(), "")
                progress.advance()
    except (StorageError, MissingFileError) as error:
        raise OperatorError(
            f"The database is restored, but the upload {name} is not kept: {error} Unpack {UPLOADS} of the archive "
            "and set STORAGE_URL to that folder."
        ) from error
    finally:
        await database.dispose()


class StagedUploads:
    """A folder of uploads that is ready to replace the present one; nothing if the archive has none for it."""

    def __init__(self, folder: Path | None, place: Path | None = None) -> None:
        self._folder = folder
        self._place = place

    def swap(self) -> Path | None:
        """Rename the present folder and put this one in its place. Return where the former files are kept."""
        if self._folder is None or self._place is None:
            return None
        kept = None
        if self._place.exists():
            _resemble(self._place, self._folder)
            kept = _set_aside(self._place)
        self._folder.rename(self._place)
        sync_folder(self._place.parent)
        return kept


def _set_aside(place: Path) -> Path | None:
    if not any(place.iterdir()):
        place.rmdir()
        return None
    return place.rename(unused(place.with_name(place.name + KEPT_SUFFIX)))


def _resemble(old: Path, new: Path) -> None:
    """Give the new folder the old one's mode, and its owner to all files: a restore by root locks no server out."""
    was = old.stat()
    new.chmod(was.st_mode & 0o777)
    if sys.platform != "win32" and os.geteuid() == 0:
        for path in (new, *new.rglob("*")):
            os.chown(path, was.st_uid, was.st_gid)
