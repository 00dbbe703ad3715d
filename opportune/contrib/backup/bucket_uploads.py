"""Back up and restore the uploads of a bucket."""

import mimetypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING

from opportune.contrib.backup.archive import UPLOADS, Archive, ArchiveWriter
from opportune.errors import OperatorError
from opportune.progress import work
from opportune.storage.bucket import file_headers, open_bucket, summarize
from opportune.storage.location import Bucket
from opportune.storage.storage import is_name

if TYPE_CHECKING:
    from obstore.store import S3Store

TIMEOUT = timedelta(seconds=60)


def add_bucket_uploads(writer: ArchiveWriter, bucket: Bucket) -> None:
    """Add the site's uploads to an archive, without files that are deleted during the backup.

    Raises:
        OperatorError: The bucket is unavailable.
    """
    from obstore import open_reader

    with _open_client(bucket) as client, work("Packing uploads", unit="files") as progress:
        for name in _upload_names(client):
            with suppress(FileNotFoundError):
                writer.add(UPLOADS + name, open_reader(client, name))
            progress.advance()


def restore_missing_uploads(archive: Archive, bucket: Bucket) -> None:
    """Restore uploads missing in the bucket. Existing files are skipped, because names are never reused.

    Raises:
        OperatorError: The bucket is unavailable.
    """
    from obstore import put

    with _open_client(bucket) as client:
        existing = set(_upload_names(client))
        archived = [member.removeprefix(UPLOADS) for member in archive.uploads]
        missing = [name for name in archived if name not in existing]
        with work("Restoring uploads", len(missing), "files") as progress:
            for name in missing:
                content = BytesIO()
                archive.extract(UPLOADS + name, content)
                media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
                put(client, name, content.getvalue(), attributes=file_headers(media_type))
                progress.advance()


def _upload_names(client: "S3Store") -> Iterable[str]:
    names = (str(item["path"]) for page in client.list() for item in page)
    return (name for name in names if is_name(name))


@contextmanager
def _open_client(bucket: Bucket) -> "Iterator[S3Store]":
    from obstore.exceptions import BaseError

    try:
        yield open_bucket(bucket, TIMEOUT, TIMEOUT)
    except BaseError as error:
        raise OperatorError(f"The uploads in {bucket.label} cannot be reached: {summarize(error)}.") from error
