"""Unpacks an archive from wherever it comes: nothing of it lands outside of its folder, and it cannot fill the disk."""

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
    """What an archive would have done."""


class Entry(NamedTuple):
    name: str
    is_executable: bool
    content: IO[bytes]


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a .zip or .tar.gz into a new folder, and give the folder in it that has everything.

    Raises:
        OperatorError: it is none, or no honest one.
    """
    folder.mkdir()
    try:
        _require(archive.stat().st_size <= MAX_ARCHIVE_BYTES, f"is larger than {MAX_ARCHIVE_BYTES // 1_000_000} MB")
        left = MAX_UNPACKED_BYTES
        for number, entry in enumerate(_zip_entries(archive) if is_zipfile(archive) else _tar_entries(archive)):
            _require(number < MAX_FILES, f"has more than {MAX_FILES:,} files")
            left = _write(entry, folder, left)
    except UnsafeArchiveError as error:
        raise OperatorError(f"{archive.name} {error}: it is no release of Opportune.") from error
    except DAMAGED as error:
        raise OperatorError(f"{archive.name} is damaged, or neither .zip nor .tar.gz: take it once more.") from error
    folders = list(folder.iterdir())
    return folders[0] if len(folders) == 1 and folders[0].is_dir() else folder


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise UnsafeArchiveError(otherwise)


def _require_room(left_bytes: int) -> None:
    _require(left_bytes >= 0, f"unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB")


def _write(entry: Entry, folder: Path, left: int) -> int:
    """Write one file, and give how many bytes there may be after it."""
    name = PurePosixPath(entry.name)
    is_inside = not (name.is_absolute() or ".." in name.parts or "\\" in entry.name or ":" in entry.name)
    _require(is_inside and entry.name.isprintable(), f"would write outside of its folder ({entry.name})")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while chunk := entry.content.read(CHUNK_BYTES):
            left -= len(chunk)
            _require_room(left)
            file.write(chunk)
    path.chmod(0o755 if entry.is_executable else 0o644)
    return left


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
    """A file that says no more than so much, whatever headers promise."""

    def __init__(self, file: gzip.GzipFile) -> None:
        super().__init__()
        self._file, self._left = file, MAX_UNPACKED_BYTES

    def read(self, size: int | None = -1) -> bytes:
        chunk = self._file.read(size)
        self._left -= len(chunk)
        _require_room(self._left)
        return chunk
