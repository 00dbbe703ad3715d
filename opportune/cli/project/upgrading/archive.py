"""Unpacks untrusted archives safely: no files outside the folder, and limits on size and number."""

import gzip
import io
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple
from zipfile import BadZipFile, ZipFile, is_zipfile

from opportune.errors import OperatorError

SUFFIXES = (".zip", ".tar.gz", ".tgz")
MAX_ARCHIVE_BYTES = 50_000_000
MAX_UNPACKED_BYTES = 300_000_000
MAX_FILES = 20_000
CHUNK_BYTES = 1 << 16
DAMAGED = (BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, FileExistsError, NotADirectoryError)


class UnsafeArchiveError(Exception):
    """Unsafe content of an archive."""


class Entry(NamedTuple):
    name: str
    is_executable: bool
    content: IO[bytes]


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a .zip or .tar.gz into a new folder, and return the top folder of its files.

    Raises:
        OperatorError: the archive is damaged or unsafe.
    """
    folder.mkdir()
    try:
        _require(archive.stat().st_size <= MAX_ARCHIVE_BYTES, f"is larger than {MAX_ARCHIVE_BYTES // 1_000_000} MB")
        remaining = MAX_UNPACKED_BYTES
        for number, entry in enumerate(_zip_entries(archive) if is_zipfile(archive) else _tar_entries(archive)):
            _require(number < MAX_FILES, f"has more than {MAX_FILES:,} files")
            remaining = _write(entry, folder, remaining)
    except UnsafeArchiveError as error:
        raise OperatorError(f"{archive.name} {error}. It is not a release of Opportune.") from error
    except DAMAGED as error:
        message = f"{archive.name} is damaged, or not a .zip or .tar.gz file. Download it again."
        raise OperatorError(message) from error
    folders = list(folder.iterdir())
    return folders[0] if len(folders) == 1 and folders[0].is_dir() else folder


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UnsafeArchiveError(message)


def _require_space(remaining_bytes: int) -> None:
    _require(remaining_bytes >= 0, f"unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB")


def _write(entry: Entry, folder: Path, remaining: int) -> int:
    """Write a file, and return the number of bytes that may follow."""
    name = PurePosixPath(entry.name)
    is_inside = not (name.is_absolute() or ".." in name.parts or "\\" in entry.name or ":" in entry.name)
    _require(is_inside and entry.name.isprintable(), f"has a file outside its folder ({entry.name})")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while chunk := entry.content.read(CHUNK_BYTES):
            remaining -= len(chunk)
            _require_space(remaining)
            file.write(chunk)
    path.chmod(0o755 if entry.is_executable else 0o644)
    return remaining


def _zip_entries(archive: Path) -> Iterator[Entry]:
    with ZipFile(archive) as opened:
        for info in opened.infolist():
            mode = info.external_attr >> 16
            _require(not stat.S_ISLNK(mode), f"has a symbolic link ({info.filename})")
            _require(not info.flag_bits & 1, "is encrypted")
            if not info.is_dir():
                with opened.open(info) as content:
                    yield Entry(info.filename, bool(mode & 0o100), content)


def _tar_entries(archive: Path) -> Iterator[Entry]:
    with gzip.open(archive) as unzipped, tarfile.open(fileobj=_Bounded(unzipped), mode="r|") as opened:
        for member in opened:
            if not member.isdir():
                _require(member.isreg(), f"has a link or a device ({member.name})")
                if content := opened.extractfile(member):
                    yield Entry(member.name, bool(member.mode & 0o100), content)


class _Bounded(io.BytesIO):
    """A file with a limit on the number of bytes that can be read."""

    def __init__(self, file: gzip.GzipFile) -> None:
        super().__init__()
        self._file, self._remaining = file, MAX_UNPACKED_BYTES

    def read(self, size: int | None = -1) -> bytes:
        chunk = self._file.read(size)
        self._remaining -= len(chunk)
        _require_space(self._remaining)
        return chunk
