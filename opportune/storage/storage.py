"""The interface of storages, wherever the files are."""

import re
from abc import ABC, abstractmethod
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Request

from opportune.errors import NotFound

NAME = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)*/[0-9a-f]{32}\.[a-z0-9]{1,10}")
UNAVAILABLE = "Files cannot be kept or shown at the moment. Try again in a few minutes."


class StorageError(Exception):
    """The storage does not answer. A form that gets this keeps what was typed and says so; else it is a 503.

    The message is a sentence for the visitor; the log has the reason.
    """

    status = 503

    def __init__(self, words: str = UNAVAILABLE) -> None:
        super().__init__(words)


class FileTooLargeError(StorageError):
    """The place of files takes none that is so large."""

    status = 422

    def __init__(self, max_megabytes: int) -> None:
        super().__init__(f"Please choose a file of at most {max_megabytes:,} MB.")


class StorageFullError(StorageError):
    """The place of files may take no more."""

    status = 507

    def __init__(self, max_megabytes: int) -> None:
        super().__init__(f"This site has no room for more files: they may take {max_megabytes:,} MB in all.")


class DiskFullError(StorageError):
    """The disk that holds the files is full."""

    status = 507

    def __init__(self) -> None:
        super().__init__("The disk of this site is full, so the file was not saved. Please try again later.")


class MissingFileError(NotFound):
    """There is no such file: a 404."""


class Storage(ABC):
    """Keeps files by names that it makes: `<folder>/<random>.<suffix>`. Names that people give are only shown."""

    data_loss_warning: str = ""
    """One line for the operator if this host will throw the files away, else nothing."""

    async def save(self, folder: str, suffix: str, content: bytes, content_type: str) -> str:
        """Store a file and give its new name. Raises StorageError."""
        name = new_name(folder, suffix)
        await self.put(name, content, content_type)
        return name

    @abstractmethod
    async def put(self, name: str, content: bytes, content_type: str) -> None:
        """Store a file by a name that is one of ours, such as that of a copy. Raises StorageError."""

    @abstractmethod
    async def read(self, name: str) -> bytes:
        """Read a whole file. Raises StorageError, MissingFileError."""

    async def read_part(self, name: str, start: int, stop: int) -> tuple[bytes, int]:
        """Read the bytes from `start` to before `stop`, and tell the size of the whole file. Raises as `read`."""
        content = await self.read(name)
        return content[start:stop], len(content)

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is fine. Raises StorageError."""

    @abstractmethod
    async def url(self, name: str, *, seconds: int = 300, download_as: str = "") -> str:
        """A URL for whoever may see the file now; it expires after that time.

        With `download_as` browsers do not show the file, they keep it by that name.
        """

    @abstractmethod
    async def check(self) -> str:
        """The reason why nothing can be saved now, in one line for the operator; empty if it can."""


def new_name(folder: str, suffix: str) -> str:
    """Make a name that nobody can guess."""
    name = f"{folder}/{uuid4().hex}.{suffix.lstrip('.')}"
    if not is_name(name):
        raise ValueError(f"no folder and suffix of files: {folder!r}, {suffix!r}")
    return name


def is_name(name: str) -> bool:
    """Whether a name could be one of ours: no other leads anywhere."""
    return NAME.fullmatch(name) is not None


async def get_storage(request: Request) -> Storage:
    storage: Storage = request.app.state.storage
    return storage


StorageDependency = Annotated[Storage, Depends(get_storage)]
