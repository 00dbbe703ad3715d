"""Files in an S3 bucket, with obstore."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from opportune.i18n import gettext as _
from opportune.storage.images import CONTENT_TYPES
from opportune.storage.location import Bucket
from opportune.storage.storage import MissingFileError, Storage, StorageError, UrlSigner, is_name

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import S3Config, S3Store

logger = logging.getLogger(__name__)

OPERATION_TIMEOUT_SECONDS = 15.0
"""Seconds for one operation with retries."""
MAX_SIGNED_SECONDS = 604_800
"""Seconds for which S3 accepts a signed URL: a week."""
CONNECT_TIMEOUT = timedelta(seconds=3)
RESPONSE_TIMEOUT = timedelta(seconds=10)
ERROR_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
UNREACHABLE = "error sending request"


class BucketStorage(Storage):
    """Storage in a bucket. The client opens with the first file."""

    def __init__(self, bucket: Bucket, signer: UrlSigner) -> None:
        super().__init__(signer)
        self.bucket = bucket

    async def put(self, name: str, content: bytes, content_type: str) -> None:
        try:
            async with self._client() as store:
                # obstore would read a text as the path of a local file to send.
                await store.put_async(name, memoryview(content), attributes=file_headers(content_type))
        except FileNotFoundError as error:
            logger.error("storage: the bucket %s does not exist", self.bucket.label)
            raise StorageError from error

    async def read(self, name: str) -> bytes:
        async with self._client_for(name) as store:
            return bytes(await (await store.get_async(name)).bytes_async())

    async def read_part(self, name: str, start: int, stop: int) -> tuple[bytes, int]:
        async with self._client_for(name) as store:
            size = (await store.head_async(name))["size"]
            stop = min(stop, size)
            content = await store.get_range_async(name, start=start, end=stop) if start < stop else b""
        return bytes(content), size

    async def delete(self, name: str) -> None:
        with suppress(MissingFileError):
            async with self._client_for(name) as store:
                await store.delete_async(name)

    async def url(self, name: str, *, seconds: int = 300, download_as: str = "") -> str:
        """Return a URL of the service, or of this site for what the service cannot sign: `download_as`, or weeks."""
        if download_as or not 0 < seconds <= MAX_SIGNED_SECONDS or not is_name(name):
            return await super().url(name, seconds=seconds, download_as=download_as)
        from obstore import sign_async

        async with self._client() as store:
            return await sign_async(store, "GET", name, timedelta(seconds=seconds))

    async def check(self) -> str:
        try:
            async with self._client(level=logging.DEBUG) as store:
                await store.list_with_delimiter_async()
        except StorageError as error:
            return _("%(bucket)s failed: %(reason)s.", bucket=self.bucket.label, reason=summarize(error.__cause__))
        return ""

    @asynccontextmanager
    async def _client_for(self, name: str) -> "AsyncIterator[S3Store]":
        """Yield the client for an operation on a file.

        Raises:
            MissingFileError: There is no file of this name.
        """
        if not is_name(name):
            raise MissingFileError(name)
        try:
            async with self._client() as store:
                yield store
        except FileNotFoundError as error:
            raise MissingFileError(name) from error

    @asynccontextmanager
    async def _client(self, level: int = logging.ERROR) -> "AsyncIterator[S3Store]":
        """Yield the client for one operation.

        Raises:
            StorageError: The bucket cannot be used.
            FileNotFoundError: The bucket or the file does not exist.
        """
        from obstore.exceptions import BaseError

        try:
            async with asyncio.timeout(OPERATION_TIMEOUT_SECONDS):
                yield self._store
        except FileNotFoundError:
            raise
        except (BaseError, OSError, ValueError) as error:
            logger.log(level, "storage: %s: %s", self.bucket.label, summarize(error))
            raise StorageError from error

    @cached_property
    def _store(self) -> "S3Store":
        return open_bucket(self.bucket, RESPONSE_TIMEOUT, timedelta(seconds=OPERATION_TIMEOUT_SECONDS))


def open_bucket(bucket: Bucket, response_timeout: timedelta, retry_timeout: timedelta) -> "S3Store":
    """Return a client of the bucket without connecting."""
    from obstore.store import S3Store

    config: S3Config = {"endpoint": bucket.origin, "region": bucket.region}
    if bucket.key:
        config |= {"access_key_id": bucket.key, "secret_access_key": bucket.secret}
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        config=config,
        client_options={"allow_http": not bucket.tls, "connect_timeout": CONNECT_TIMEOUT, "timeout": response_timeout},
        retry_config={"max_retries": 2, "retry_timeout": retry_timeout},
    )


def file_headers(content_type: str) -> "Attributes":
    """Return the headers that the service sends with a file. Only images are shown inline."""
    headers: Attributes = {"Content-Type": content_type, "Cache-Control": "private, max-age=3600"}
    if content_type not in CONTENT_TYPES:
        headers["Content-Disposition"] = "attachment"
    return headers


def summarize(error: BaseException | None) -> str:
    """Return the message of the service or the first line of the error. Neither contains a key."""
    text = str(error)
    if UNREACHABLE in text:
        return "the host does not respond"
    match = ERROR_MESSAGE.search(text)
    return (match[1] if match else text.partition("\n")[0]).rstrip(".") or type(error).__name__
