"""The files that people have uploaded."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from opportune.atomic_files import TEMPORARY, put, sync
from opportune.data.backup.archive import UPLOADS, Archive, ArchiveWriter
from opportune.data.backup.bucket_uploads import put_missing
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.progress import work
from opportune.settings import DEFAULT_MAX_UPLOAD_BYTES, Settings
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
            if path.suffix != TEMPORARY:
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
    """The uploads of an archive, extracted and checked, beside the folder that they belong to; else none.

    Those that come from a bucket go into a bucket at once.
    """
    if not isinstance(place, Path):
        if isinstance(place, Bucket) and archive.manifest.bucket:
            put_missing(archive, place)  # more than there were do no harm, whatever comes of the database
        yield StagedUploads(())
        return
    folder = place.with_name(f"{place.name}.restore{TEMPORARY}")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        names = [name.removeprefix(UPLOADS) for name in archive.uploads]
        with work("Unpacking uploads", len(names), "files") as progress:
            for name in names:
                path = folder / name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with path.open("xb") as file:
                    archive.extract(UPLOADS + name, file)
                    sync(file)
                progress.advance()
        yield StagedUploads([(folder / name, place / name) for name in names])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
    """Uploads on their way. Together with a database they change in two steps around its own:

    those that are missing are added before it, and those that differ replaced after it, so that neither the old nor the
    new database ever lacks one of its files.
    """

    def __init__(self, moves: Sequence[tuple[Path, Path]]) -> None:
        self._moves = moves

    def add_missing(self) -> None:
        self._put((path, target) for path, target in self._moves if not target.exists())

    def replace_rest(self) -> None:
        self._put((path, target) for path, target in self._moves if path.exists())

    @staticmethod
    def _put(moves: Iterable[tuple[Path, Path]]) -> None:
        for path, target in moves:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            put(path, target)
