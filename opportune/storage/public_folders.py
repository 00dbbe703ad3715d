"""Public folders, whose files have permanent URLs, and smaller copies of images."""

import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import quote

from sqlalchemy.util import LRUCache

from opportune.errors import OperatorError
from opportune.storage.images import shrink
from opportune.storage.storage import FILES_PATH, MissingFileError, Storage, StorageError

WEBP = "image/webp"
COPY = re.compile(r"(.+)/([1-9][0-9]{0,8})/([^/]+\.webp)")
"""Names that `copy_name` returns, and no others, so that visitors cannot let the same copy be made again."""

_is_public: dict[str, bool] = {}
"""Whether the files of each declared folder are public."""
_sizes: dict[str, set[int]] = {}
"""Sizes of the copies of images in each declared folder, in pixels of the longer side."""
_new_copies: LRUCache[str, bytes] = LRUCache(20)
"""The last copies by name, which are not made again for each request if they cannot be saved."""


def declare_folder(folder: str, sizes: Iterable[int], *, is_public: bool) -> None:
    """Declare whether a folder is public, and the sizes of copies of its images.

    Raises:
        OperatorError: The folder is both public and private.
    """
    if _is_public.setdefault(folder, is_public) != is_public:
        raise OperatorError(f"Files in {folder!r} are public in one field and not in another: give one its own folder.")
    _sizes.setdefault(folder, set()).update(sizes)


def is_public(name: str) -> bool:
    """Return True if the file, or the original of the copy, is in a public folder."""
    if _folder_of(name) in _is_public:
        return _is_public[_folder_of(name)]
    original, _size = _original_of(name)
    return _is_public.get(_folder_of(original), False)


def public_url(name: str) -> str:
    return f"{FILES_PATH}/{quote(name)}"


def copy_name(name: str, size: int) -> str:
    """Return the name of the copy with `size` pixels on the longer side."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{size}/{file.rpartition('.')[0]}.webp"


def copy_names(name: str) -> list[str]:
    """Return the names of all possible copies of an image."""
    return [copy_name(name, size) for size in sorted(_sizes.get(_folder_of(name), ()))]


async def save_copy(storage: Storage, name: str, content: bytes, size: int) -> None:
    await storage.put(copy_name(name, size), await shrink(content, size), WEBP)


async def read_part(storage: Storage, name: str, start: int, stop: int) -> tuple[bytes, int]:
    """Read as `Storage.read_part`, and create a missing copy of a declared size first."""
    try:
        return await storage.read_part(name, start, stop)
    except MissingFileError:
        original, size = _original_of(name)
        if size not in _sizes.get(_folder_of(original), ()):
            raise
        image = await storage.read(original)
        _new_copies[name] = content = _new_copies.get(name) or await shrink(image, size)
        with suppress(StorageError):  # visitors see the image also if the disk is full
            await storage.put(name, content, WEBP)
            await _delete_orphan(storage, original, name)
        return content[start:stop], len(content)


async def _delete_orphan(storage: Storage, original: str, copy: str) -> None:
    """Delete a new copy of an image that another request has just deleted."""
    try:
        await storage.read_part(original, 0, 1)
    except MissingFileError:
        await storage.delete(copy)
        raise


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def _original_of(name: str) -> tuple[str, int]:
    """Return the name of the original and the size of a copy; an empty name if the file is not a copy."""
    match = COPY.fullmatch(name)
    return (f"{match[1]}/{match[3]}", int(match[2])) if match else ("", 0)
