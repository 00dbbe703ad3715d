"""Unpacks untrusted wheels safely: no files outside the folder, and limits on size and number."""

import stat
import zlib
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from opportune.errors import OperatorError

MAX_ARCHIVE_BYTES = 50_000_000
MAX_UNPACKED_BYTES = 300_000_000
MAX_FILES = 20_000
CHUNK_BYTES = 1 << 16
DAMAGED = (BadZipFile, zlib.error, EOFError, FileExistsError, NotADirectoryError, NotImplementedError)


class UnsafeArchiveError(Exception):
    """Unsafe content of an archive."""


def unpack(archive: Path, folder: Path, advice: str = "It is not a release of Opportune.") -> None:
    """Unpack a wheel into a new folder.

    Raises:
        OperatorError: the wheel is damaged or unsafe.
    """
    folder.mkdir()
    try:
        _require(archive.stat().st_size <= MAX_ARCHIVE_BYTES, f"is larger than {MAX_ARCHIVE_BYTES // 1_000_000} MB")
        with ZipFile(archive) as opened:
            entries = [info for info in opened.infolist() if not info.is_dir()]
            _require(len(entries) <= MAX_FILES, f"has more than {MAX_FILES:,} files")
            remaining = MAX_UNPACKED_BYTES
            for info in entries:
                remaining = _write(opened, info, folder, remaining)
    except UnsafeArchiveError as error:
        raise OperatorError(f"{archive.name} {error}. {advice}") from error
    except DAMAGED as error:
        raise OperatorError(f"{archive.name} is damaged, or not a wheel. Download it again.") from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UnsafeArchiveError(message)


def _write(archive: ZipFile, info: ZipInfo, folder: Path, remaining: int) -> int:
    """Write a file, and return the number of bytes that may follow."""
    name = PurePosixPath(info.filename)
    is_inside = not (name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in info.filename)
    _require(is_inside and info.filename.isprintable(), f"has a file outside its folder ({info.filename})")
    _require(not stat.S_ISLNK(info.external_attr >> 16), f"has a symbolic link ({info.filename})")
    _require(not info.flag_bits & 1, "is encrypted")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as content, path.open("xb") as file:
        while chunk := content.read(CHUNK_BYTES):
            remaining -= len(chunk)
            _require(remaining >= 0, f"unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB")
            file.write(chunk)
    return remaining
