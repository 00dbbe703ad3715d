"""The interface of all storages, and signed URLs of this site, which open one file for a limited time."""

import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Annotated, NamedTuple, cast
from urllib.parse import quote, urlencode
from uuid import uuid4

from fastapi import Depends, Request

from opportune.config.settings import Settings
from opportune.config.signing import derived_keys
from opportune.db.errors import may_be_committed
from opportune.db.sessions.dependencies import on_site
from opportune.errors import NotFound
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_number
from opportune.services.clock import clock

FILES_PATH = "/files"
NAME = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)*/[0-9a-f]{32}\.[a-z0-9]{1,10}")
UNAVAILABLE = _l("Files cannot be saved or shown at the moment. Try again in a few minutes.")


class UrlSigner(NamedTuple):
    """Signs the name of a file, the time of expiry and the name for downloads."""

    keys: Sequence[str]
    """The first key signs. URLs signed with the other, older keys remain valid."""

    @classmethod
    def of(cls, settings: Settings) -> "UrlSigner":
        return cls(derived_keys(settings, "files"))

    def sign_url(self, name: str, seconds: int, download_as: str = "") -> str:
        until = str(int(clock.now()) + seconds)
        query = {"until": until, "signature": self.signatures(name, until, download_as)[0]}
        if download_as:
            query["as"] = download_as
        return f"{FILES_PATH}/{quote(name)}?{urlencode(query)}"

    def signatures(self, name: str, until: str, download_as: str) -> list[str]:
        message = f"{until}\n{name}\n{download_as}".encode(errors="surrogatepass")
        return [hmac.new(key.encode(), message, sha256).hexdigest() for key in self.keys]

    def is_valid(self, signature: str, name: str, until: str, download_as: str) -> bool:
        """Return True if the signature is valid. The URL may have expired."""
        signature_bytes = signature.encode(errors="replace")
        valid = self.signatures(name, until, download_as)
        return any(hmac.compare_digest(signature_bytes, valid_signature.encode()) for valid_signature in valid)


class StorageError(Exception):
    """The storage failed. Forms show the message and keep the input; other routes return the status.

    The message is for the visitor. The log has the reason.
    """

    status = 503

    def __init__(self, message: str = UNAVAILABLE) -> None:
        super().__init__(message)


class FileTooLargeError(StorageError):
    """The file is larger than the storage allows."""

    status = 422

    def __init__(self, max_megabytes: int) -> None:
        super().__init__(_("Please choose a file of at most %(size)s.", size=f"{format_number(max_megabytes)} MB"))


class StorageFullError(StorageError):
    """The files would exceed the limit of the storage."""

    status = 507

    def __init__(self, max_megabytes: int) -> None:
        size = f"{format_number(max_megabytes)} MB"
        super().__init__(_("This site has no room for more files: the limit is %(size)s.", size=size))


class DiskFullError(StorageError):
    """The disk that holds the files is full."""

    status = 507

    def __init__(self) -> None:
        super().__init__(_("The disk of this site is full, so the file was not saved. Please try again later."))


class MissingFileError(NotFound):
    """The file does not exist (404)."""


class Storage(ABC):
    """Stores files under generated names, `<folder>/<random>.<suffix>`. Names chosen by users are only displayed."""

    data_loss_warning: str = ""
    """A warning for the operator if the host deletes the files, otherwise empty."""
    writes_to_sqlite = False
    """Whether saving waits until the writing sessions of the site's database have ended."""

    def __init__(self, signer: UrlSigner) -> None:
        self._signer = signer

    async def save(self, folder: str, suffix: str, content: bytes, content_type: str) -> str:
        """Store a file and return its new name.

        Raises:
            StorageError: The file cannot be stored.
        """
        name = new_name(folder, suffix)
        await self.put(name, content, content_type)
        return name

    @abstractmethod
    async def put(self, name: str, content: bytes, content_type: str) -> None:
        """Store a file under a generated name, such as the name of a copy.

        Raises:
            StorageError: The file cannot be stored.
        """

    @abstractmethod
    async def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            MissingFileError: The file does not exist.
            StorageError: The file cannot be read.
        """

    @abstractmethod
    async def read_part(self, name: str, start: int, stop: int) -> tuple[bytes, int]:
        """Return the bytes in `[start, stop)` and the size of the file. Raises the errors of `read`."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Delete a file if it exists.

        Raises:
            StorageError: The file cannot be deleted.
        """

    async def url(self, name: str, *, seconds: int = 300, download_as: str = "") -> str:
        """Return a URL that opens the file for that time.

        With `download_as`, browsers save the file under that name instead of showing it.

        Raises:
            ValueError: `seconds` is not positive, so that the URL would have expired.
        """
        if seconds <= 0:
            raise ValueError(f"storage.url(seconds={seconds}) has expired already. Use a positive number.")
        return self._signer.sign_url(name, seconds, download_as)

    @abstractmethod
    async def check(self) -> str:
        """Return one line about why files cannot be saved, or an empty string."""


def new_name(folder: str, suffix: str) -> str:
    """Return a random name."""
    name = f"{folder}/{uuid4().hex}.{suffix.lstrip('.')}"
    if not is_name(name):
        raise ValueError(f"invalid folder or suffix: {folder!r}, {suffix!r}")
    return name


def is_name(name: str) -> bool:
    """Return True if the name has the form of generated names. Other names are never opened."""
    return NAME.fullmatch(name) is not None


async def get_storage(request: Request) -> Storage:
    return cast("Storage", on_site(request).app.state.storage)


StorageDependency = Annotated[Storage, Depends(get_storage)]


@asynccontextmanager
async def deleting_files_on_error(storage: Storage) -> AsyncIterator[list[str]]:
    """Yield a list for the names of new files. If the block raises an error, these files are deleted.

    They stay if the commit was interrupted, because their row may have been stored.
    """
    new_names: list[str] = []
    try:
        yield new_names
    except BaseException as error:
        if not may_be_committed(error):
            await delete_new_files(storage, new_names)
        raise


async def delete_new_files(storage: Storage, names: Iterable[str]) -> None:
    """Delete files after an error, which is more important than one of the storage."""
    for name in names:
        with suppress(StorageError):
            await storage.delete(name)
