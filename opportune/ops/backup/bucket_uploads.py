"""Uploads that are in a bucket: into a backup, and those that are missing back."""

import mimetypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from opportune.errors import OperatorError
from opportune.ops.backup.archive import UPLOADS, Archive, ArchiveWriter
from opportune.runtime.progress import work
from opportune.storage.bucket import attributes, open_bucket, summarize
from opportune.storage.location import Bucket
from opportune.storage.storage import is_name

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import S3Store

TIMEOUT = timedelta(seconds=60)


def add_bucket_uploads(writer: ArchiveWriter, bucket: Bucket) -> None:
    """Add all of ours to an archive, one after the other; what is removed meanwhile is left out.

    Raises:
        OperatorError: the bucket does not answer.
    """
    from obstore import open_reader

    with _answering(bucket) as client, work("Packing uploads", unit="files") as progress:
        for name in _names(client):
            with suppress(FileNotFoundError):
                writer.add(UPLOADS + name, _Upload(open_reader(client, name)))
            progress.advance()


def put_missing(archive: Archive, bucket: Bucket) -> None:
    """Put those of an archive back that the bucket lacks. What it has by a name is that file: names are used once.

    Raises:
        OperatorError: the bucket does not answer.
    """
    from obstore import put

    with _answering(bucket) as client:
        there = set(_names(client))
        missing = [name for each in archive.uploads if (name := each.removeprefix(UPLOADS)) not in there]
        with work("Putting uploads back", len(missing), "files") as progress:
            for name in missing:
                archive.extract(UPLOADS + name, content := BytesIO())
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                put(client, name, content.getvalue(), attributes=attributes(kind))
                progress.advance()


def _names(client: "S3Store") -> Iterable[str]:
    return (str(each["path"]) for page in client.list() for each in page if is_name(str(each["path"])))


@contextmanager
def _answering(bucket: Bucket) -> "Iterator[S3Store]":
    from obstore.exceptions import BaseError

    try:
        yield open_bucket(bucket, TIMEOUT, TIMEOUT)
    except BaseError as error:
        raise OperatorError(f"The uploads in {bucket.label} cannot be reached: {summarize(error)}.") from error


class _Upload:
    """A file of the bucket as something to read."""

    def __init__(self, file: "ReadableFile") -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return bytes(self._file.read(size))
