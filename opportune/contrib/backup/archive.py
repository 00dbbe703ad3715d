"""Zip file of a backup: the database, the uploads and a manifest with their checksums.

A truncated zip file lacks its index and does not open.
"""

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path, PurePath
from typing import IO, Any, BinaryIO, Literal, Protocol, Self, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from opportune.errors import OperatorError
from opportune.progress import work

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 50_000_000
UPLOADS = "uploads/"
CHUNK_BYTES = 1 << 20
DAMAGE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    UnicodeError,
    ValidationError,
)
"""Errors of zipfile, zlib and Pydantic for damaged files. RuntimeError means that a member is encrypted."""

USE_ANOTHER_BACKUP = "Use another backup."
NOT_A_BACKUP = "{path} is not a complete backup. Use a file that `oppman.py backup` wrote."

Content = Literal["database.sqlite3", "database.dump"]


class Member(BaseModel):
    """Size in bytes and checksum of a file in the archive."""

    size: int
    sha256: str


class Manifest(BaseModel):
    """Content and origin of a backup, stored as `manifest.json`."""

    model_config = ConfigDict(extra="ignore")  # later versions may add fields

    format: Literal["opportune-backup"] = "opportune-backup"
    version: int = 1
    created: AwareDatetime
    program: str
    """Version of Opportune that wrote the backup."""
    site: str = ""
    """SITE_NAME (missing in older backups)."""
    base_url: str = ""
    """BASE_URL, if the site had one."""
    source: str
    """URL of the database without its password."""
    kind: str
    """Database system: `sqlite` or `postgresql`."""
    database: Content
    """Name of the archive's member with the database."""
    namespace: str = ""
    """PostgreSQL schema of a dump."""
    elsewhere: str = ""
    """Storage with the uploads, if the archive does not contain them."""
    bucket: str = ""
    """Bucket the archive's uploads were read from."""
    revisions: list[str]
    """Applied migrations."""
    tables: list[str]
    rows: dict[str, int] = {}
    """Number of rows per table (missing in older backups)."""
    members: dict[str, Member]

    @property
    def uploads(self) -> list[str]:
        return sorted(name for name in self.members if name.startswith(UPLOADS))


class Readable(Protocol):
    """Source of a member: `read` returns bytes, or a buffer that `bytes` copies."""

    def read(self, size: int, /) -> Any: ...


class Sink(Protocol):
    """Target of an archive. Only `write` and `flush` are needed: the archive never seeks."""

    def write(self, content: bytes, /) -> int: ...

    def flush(self) -> None: ...


class ArchiveWriter:
    """Adds members to a new archive. Call `finish` with the manifest before the block ends."""

    def __init__(self, file: Sink) -> None:
        self.members: dict[str, Member] = {}
        self._zip = zipfile.ZipFile(cast("IO[bytes]", file), "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError, ValueError):  # only after an error: `finish` closes a complete archive
            self._zip.close()

    def add(self, name: str, source: Readable) -> None:
        with self._zip.open(name, "w", force_zip64=True) as member:
            self.members[name] = copy_stream(source, member)

    def finish(self, manifest: Manifest) -> None:
        self._zip.writestr(MANIFEST, manifest.model_dump_json(indent=1))
        self._zip.close()


class Archive:
    """Readable archive. Members are compared with the manifest when they are read."""

    def __init__(self, path: Path, contents: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = contents
        self.manifest = self._read_manifest()
        _refuse_unexpected_members(path, contents.infolist(), self.manifest)

    def check(self) -> None:
        """Compare every member with its checksum."""
        with work("Checking the backup", len(self.manifest.members), "files") as progress:
            for name in self.manifest.members:
                self.extract(name, None)
                progress.advance()

    def extract(self, name: str, target: BinaryIO | None) -> None:
        """Write a member to an open file, or only read it if `target` is None."""
        expected = self.manifest.members[name]
        with describe_damage(self.path), self._zip.open(name) as member:
            actual = copy_stream(member, target, limit=expected.size)
        if actual != expected:
            raise OperatorError(f"{self.path} is damaged: {name} has changed since the backup. {USE_ANOTHER_BACKUP}")

    def read(self, name: str) -> bytes:
        """Return the content of a member."""
        content = BytesIO()
        self.extract(name, content)
        return content.getvalue()

    def _read_manifest(self) -> Manifest:
        entry = next((entry for entry in self._zip.infolist() if entry.filename == MANIFEST), None)
        is_cut = any(member.header_offset < 0 for member in self._zip.infolist())  # its beginning is missing
        if is_cut or not entry or entry.file_size > MAX_MANIFEST_BYTES:
            raise OperatorError(NOT_A_BACKUP.format(path=self.path))
        manifest = Manifest.model_validate_json(self._zip.read(entry))
        if manifest.version > 1:
            raise OperatorError(f"{self.path} was written by a newer version of Opportune: update, then restore it.")
        return manifest


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        if not zipfile.is_zipfile(file):
            raise OperatorError(NOT_A_BACKUP.format(path=path))
        with describe_damage(path):
            archive = Archive(path, zipfile.ZipFile(file))
        yield archive


@contextmanager
def describe_damage(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged archive into one line for the operator."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise OperatorError(f"{path} is damaged ({type(error).__name__}). {USE_ANOTHER_BACKUP}") from error


def copy_stream(source: Readable, target: IO[bytes] | None, limit: int | None = None) -> Member:
    """Copy a stream and return its size and checksum. Stop at the first chunk beyond `limit` bytes."""
    digest = hashlib.sha256()
    size = 0
    while limit is None or size <= limit:
        chunk = bytes(source.read(CHUNK_BYTES))
        if not chunk:
            break
        digest.update(chunk)
        size += len(chunk)
        if target:
            target.write(chunk)
    return Member(size=size, sha256=digest.hexdigest())


def _refuse_unexpected_members(path: Path, entries: list[zipfile.ZipInfo], manifest: Manifest) -> None:
    names = [entry.filename for entry in entries if entry.filename != MANIFEST]
    if sorted(names) != sorted(manifest.members) or manifest.database not in manifest.members:
        raise OperatorError(f"{path} is damaged: its files differ from its manifest. {USE_ANOTHER_BACKUP}")
    for entry in entries:
        if not _is_safe(entry, manifest):
            raise OperatorError(f"{path} contains the unexpected file '{entry.filename}' and is not restored.")


def _is_safe(entry: zipfile.ZipInfo, manifest: Manifest) -> bool:
    name = PurePath(entry.filename.removeprefix(UPLOADS))  # as it is joined to a folder
    is_upload = entry.filename.startswith(UPLOADS) and not entry.is_dir()
    is_file = stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG)
    is_inside = not (name.anchor or ".." in name.parts)
    return is_inside and is_file and (is_upload or entry.filename in (MANIFEST, manifest.database))
