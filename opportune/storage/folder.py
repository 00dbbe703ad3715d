"""Files in a folder of this machine."""

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from shutil import disk_usage
from typing import BinaryIO, TypeVar

from opportune.config.hosts import is_ephemeral
from opportune.db.errors import is_full
from opportune.errors import OperatorError
from opportune.i18n import format_lazy
from opportune.i18n import gettext as _
from opportune.project.atomic_files import open_replacement
from opportune.storage.storage import DiskFullError, MissingFileError, Storage, StorageError, UrlSigner, is_name

logger = logging.getLogger(__name__)

T = TypeVar("T")

MIN_FREE_BYTES = 10_000_000
"""Free space below which a disk counts as full."""
OPEN_WITHOUT_LINKS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class FolderStorage(Storage):
    """Storage in a folder. Files belong to this user only and are written atomically."""

    def __init__(self, folder: Path, signer: UrlSigner) -> None:
        super().__init__(signer)
        self.folder = folder.resolve()

    @cached_property
    def data_loss_warning(self) -> str:  # type: ignore[override]  # reads the disk once
        if not is_ephemeral(self.folder):
            return ""
        return format_lazy(
            "Uploads go to %(folder)s, on a disk that this host does not keep: they are lost at the next deploy or "
            "restart. Set STORAGE_URL to a bucket (s3://…) or database:, or mount a volume (oppman.py docs files).",
            folder=str(self.folder),
        )

    async def put(self, name: str, content: bytes, content_type: str) -> None:
        del content_type  # the suffix determines it
        await self._run(self._write, self._path(name), content)

    async def read(self, name: str) -> bytes:
        return await self._run(self._read, self._path(name))

    async def read_part(self, name: str, start: int, stop: int) -> tuple[bytes, int]:
        return await self._run(self._read_part, self._path(name), start, stop)

    async def delete(self, name: str) -> None:
        if is_name(name):
            await self._run(self._delete, self._path(name))

    async def check(self) -> str:
        try:
            return await asyncio.to_thread(self._check)
        except OSError as error:
            return _("%(folder)s cannot be read: %(reason)s.", folder=self.folder, reason=error.strerror)

    def _path(self, name: str) -> Path:
        if not is_name(name):
            raise MissingFileError(name)
        return self.folder / name

    async def _run(self, function: Callable[..., T], path: Path, *arguments: object) -> T:
        try:
            return await asyncio.to_thread(function, path, *arguments)
        except (OSError, OperatorError) as error:  # another request may be writing the same copy
            logger.error("storage: %s: %s", self.folder, getattr(error, "strerror", error))
            raise (DiskFullError if is_full(error) else StorageError) from error

    def _write(self, path: Path, content: bytes) -> None:
        for folder in (self.folder, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._is_within(path):
            raise OSError(errno.ELOOP, f"a link leads out of {path.parent}")
        with open_replacement(path) as file:
            file.write(content)

    def _read(self, path: Path) -> bytes:
        with self._open(path) as file:
            return file.read()

    def _read_part(self, path: Path, start: int, stop: int) -> tuple[bytes, int]:
        with self._open(path) as file:
            file.seek(start)
            return file.read(max(0, stop - start)), os.fstat(file.fileno()).st_size

    def _open(self, path: Path) -> BinaryIO:
        if not (self._is_within(path) and path.is_file()):
            raise MissingFileError(path.name)
        try:
            return open(os.open(path, OPEN_WITHOUT_LINKS), "rb")
        except FileNotFoundError as error:
            raise MissingFileError(path.name) from error

    def _delete(self, path: Path) -> None:
        if self._is_within(path):
            path.unlink(missing_ok=True)

    def _is_within(self, path: Path) -> bool:
        """Return True if no symbolic link leads out of the folder."""
        return path.resolve() == self.folder / path.relative_to(self.folder)

    def _check(self) -> str:
        existing = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        if not existing.is_dir():
            return _("%(path)s is not a folder: set STORAGE_URL to another place, or remove it.", path=existing)
        if not os.access(existing, os.W_OK | os.X_OK):
            return _(
                "The site may not write to %(folder)s: change its owner, or set STORAGE_URL to another place.",
                folder=existing,
            )
        return describe_full_disk(existing)


def describe_full_disk(folder: Path) -> str:
    """Return a message if the disk of a folder is full, else an empty text. Folders of a disk have the same message."""
    if disk_usage(folder).free >= MIN_FREE_BYTES:
        return ""
    disk = next(path for path in (folder, *folder.parents) if os.path.ismount(path))
    return _("The disk of %(path)s is full. Free some space.", path=disk)
