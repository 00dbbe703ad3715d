"""Files in a bucket of a service that speaks S3, by obstore."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from opportune.storage.images import CONTENT_TYPES
from opportune.storage.location import Bucket
from opportune.storage.signed_urls import URLSigner
from opportune.storage.storage import MissingFileError, Storage, StorageError, is_name

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import S3Config, S3Store

logger = logging.getLogger(__name__)

OPERATION_TIMEOUT_SECONDS = 15.0
"""Seconds for one operation with its repetitions."""
CONNECT_TIMEOUT, RESPONSE_TIMEOUT = timedelta(seconds=3), timedelta(seconds=10)
ERROR_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
UNREACHABLE = "error sending request"


class BucketStorage(Storage):
    """Storage in a bucket. Nothing is opened before the first file."""

    def __init__(self, bucket: Bucket, signer: URLSigner, timeout_seconds: float = OPERATION_TIMEOUT_SECONDS) -> None:
        self.bucket = bucket
        self._signer = signer
        self._timeout_seconds = timeout_seconds
        self._store: S3Store | None = None

    async def put(self, name: str, content: bytes, content_type: str) -> None:
        try:
            async with self._answering() as store:
                await store.put_async(name, content, attributes=attributes(content_type))
        except FileNotFoundError as error:
            logger.error("storage: there is no bucket %s", self.bucket.label)
            raise StorageError from error

    async def read(self, name: str) -> bytes:
        if not is_name(name):
            raise MissingFileError(name)
        try:
            async with self._answering() as store:
                return bytes(await (await store.get_async(name)).bytes_async())
        except FileNotFoundError as error:
            raise MissingFileError(name) from error

    async def read_part(self, name: str, start: int, stop: int) -> tuple[bytes, int]:
        if not is_name(name):
            raise MissingFileError(name)
        try:
            async with self._answering() as store:
                size = (await store.head_async(name))["size"]
                stop = min(stop, size)
                content = await store.get_range_async(name, start=start, end=stop) if start < stop else b""
        except FileNotFoundError as error:
            raise MissingFileError(name) from error
        return bytes(content), size

    async def delete(self, name: str) -> None:
        if is_name(name):
            with suppress(FileNotFoundError):
                async with self._answering() as store:
                    await store.delete_async(name)

    async def url(self, name: str, *, seconds: int = 300, download_as: str = "") -> str:
        """URL of the service itself. That cannot sign a name for keeping the file: such an address is one of ours."""
        if download_as or not is_name(name):
            return self._signer.sign_url(name, seconds, download_as)
        from obstore import sign_async

        async with self._answering() as store:
            return await sign_async(store, "GET", name, timedelta(seconds=seconds))

    async def check(self) -> str:
        try:
            async with self._answering(level=logging.DEBUG) as store:
                await store.list_with_delimiter_async()
        except StorageError as error:
            return f"{self.bucket.label} does not answer as it should: {summarize(error.__cause__)}."
        return ""

    @asynccontextmanager
    async def _answering(self, level: int = logging.ERROR) -> "AsyncIterator[S3Store]":
        """The client, for one operation. Raises StorageError; FileNotFoundError where bucket or file are not there."""
        from obstore.exceptions import BaseError

        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield self._opened()
        except FileNotFoundError:
            raise
        except (BaseError, OSError, ValueError) as error:
            logger.log(level, "storage: %s: %s", self.bucket.label, summarize(error))
            raise StorageError from error

    def _opened(self) -> "S3Store":
        if self._store is None:
            self._store = open_bucket(self.bucket, RESPONSE_TIMEOUT, timedelta(seconds=self._timeout_seconds))
        return self._store


def open_bucket(bucket: Bucket, response_timeout: timedelta, retry_timeout: timedelta) -> "S3Store":
    """A client of the bucket. Nothing is asked yet."""
    from obstore.store import S3Store

    config: S3Config = {"endpoint": bucket.origin, "region": bucket.region}
    if bucket.key:
        config |= {"access_key_id": bucket.key, "secret_access_key": bucket.secret}
    return S3Store(
        bucket.name,
        prefix=bucket.prefix or None,
        config=config,
        client_options={
            "allow_http": not bucket.tls,
            "connect_timeout": CONNECT_TIMEOUT,
            "timeout": response_timeout,
        },
        retry_config={"max_retries": 2, "retry_timeout": retry_timeout},
    )


def attributes(content_type: str) -> "Attributes":
    """Headers that the service sends with a file. Pictures may be shown; everything else is a download."""
    about: Attributes = {"Content-Type": content_type, "Cache-Control": "private, max-age=3600"}
    if content_type not in CONTENT_TYPES:
        about["Content-Disposition"] = "attachment"
    return about


def summarize(error: BaseException | None) -> str:
    """What the service says, or the first of many lines: it names the bucket and the file, and no key."""
    words = str(error)
    if UNREACHABLE in words:
        return "nobody answers there"
    said = ERROR_MESSAGE.search(words)
    return (said[1] if said else words.partition("\n")[0]).rstrip(".") or type(error).__name__
