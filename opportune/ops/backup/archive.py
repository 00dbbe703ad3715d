"""The file of a backup: a zip with the database, the uploads and a manifest that knows the checksum of each.

A zip that was cut short lacks its index, so it does not even open.
"""

import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, BinaryIO, Literal, Protocol, Self, cast

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from opportune.errors import OperatorError
from opportune.runtime.progress import work

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

Content = Literal["database.sqlite3", "database.dump"]


class Member(BaseModel):
    """One file of an archive."""

    size: int
    sha256: str


class Manifest(BaseModel):
    """What an archive holds."""

    model_config = ConfigDict(extra="ignore")  # later versions may tell more

    format: Literal["opportune-backup"] = "opportune-backup"
    version: int = 1
    created: AwareDatetime
    program: str
    """The version of the project."""
    site: str = ""
    """SITE_NAME; older backups do not have it."""
    base_url: str = ""
    """BASE_URL of the site, if it has one."""
    source: str
    """The database's address without its password."""
    kind: str
    database: Content
    """The member with the database: a SQLite file, or a dump of PostgreSQL's own."""
    namespace: str = ""
    """The schema that a dump is of."""
    elsewhere: str = ""
    """The bucket in which the uploads are, where the archive has none of them."""
    bucket: str = ""
    """The bucket whose uploads are in the archive, where they come from one."""
    revisions: list[str]
    """The rows of the version table."""
    tables: list[str]
    rows: dict[str, int] = {}
    """How many each table had; older backups do not tell."""
    members: dict[str, Member]


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Sink(Protocol):
    """What an archive can be written to."""

    def write(self, content: bytes, /) -> int: ...

    def flush(self) -> None: ...


class ArchiveWriter:
    """Fills an archive while its block runs; `finish` makes it one."""

    def __init__(self, file: Sink) -> None:
        self.members: dict[str, Member] = {}
        self._zip = zipfile.ZipFile(cast("IO[bytes]", file), "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError, ValueError):  # of a file that is given up; `finish` has closed the others
            self._zip.close()

    def add(self, name: str, source: Readable) -> None:
        with self._zip.open(name, "w", force_zip64=True) as member:
            self.members[name] = copy_stream(source, member)

    def finish(self, manifest: Manifest) -> None:
        self._zip.writestr(MANIFEST, manifest.model_dump_json(indent=1))
        self._zip.close()


class Archive:
    """An archive that says what it holds; what it says is checked when a member is read."""

    def __init__(self, path: Path, contents: zipfile.ZipFile) -> None:
        self.path = path
        self._zip = contents
        self.manifest = self._manifest()
        _refuse_members(path, contents.infolist(), self.manifest)

    @property
    def uploads(self) -> list[str]:
        return sorted(name for name in self.manifest.members if name.startswith(UPLOADS))

    def check(self) -> None:
        """Compare every member with its checksum.

        Raises:
            OperatorError: one differs.
        """
        with work("Checking the backup", len(self.manifest.members), "files") as progress:
            for name in self.manifest.members:
                self.extract(name, None)
                progress.advance()

    def extract(self, name: str, target: BinaryIO | None) -> None:
        """Write a member to an open file, or nowhere.

        Raises:
            OperatorError: it differs from what the manifest says.
        """
        with describe_damage(self.path), self._zip.open(name) as member:
            found = copy_stream(member, target, most=self.manifest.members[name].size)
        if found != self.manifest.members[name]:
            raise OperatorError(f"{self.path} is damaged: {name} is not what was backed up. Take another backup.")

    def _manifest(self) -> Manifest:
        try:
            entry = self._zip.getinfo(MANIFEST)
        except KeyError:
            raise OperatorError(_foreign(self.path)) from None
        if entry.file_size > MAX_MANIFEST_BYTES:
            raise OperatorError(_foreign(self.path))
        manifest = Manifest.model_validate_json(self._zip.read(entry))
        if manifest.version > 1:
            raise OperatorError(f"{self.path} was made by a newer version of the program: restore it with that one.")
        return manifest


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """An archive to read.

    Raises:
        OperatorError: it is none, or only a part of one.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        if not zipfile.is_zipfile(file):
            raise OperatorError(_foreign(path))
        with describe_damage(path):
            archive = Archive(path, zipfile.ZipFile(file))
        yield archive


@contextmanager
def describe_damage(path: Path) -> Iterator[None]:
    """In one line, what is wrong with an archive that cannot be read."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise OperatorError(f"{path} is damaged ({type(error).__name__}). Take another backup.") from error


def copy_stream(source: Readable, target: IO[bytes] | None, most: int | None = None) -> Member:
    """Copy all there is, or a little more than `most` bytes, and tell what it was."""
    digest = hashlib.sha256()
    size = 0
    while (most is None or size <= most) and (chunk := source.read(CHUNK_BYTES)):
        digest.update(chunk)
        size += len(chunk)
        if target:
            target.write(chunk)
    return Member(size=size, sha256=digest.hexdigest())


def _refuse_members(path: Path, entries: list[zipfile.ZipInfo], manifest: Manifest) -> None:
    names = [entry.filename for entry in entries if entry.filename != MANIFEST]
    if sorted(names) != sorted(manifest.members) or manifest.database not in manifest.members:
        raise OperatorError(f"{path} is damaged: it does not hold the files that it lists. Take another backup.")
    for entry in entries:
        if _leads_elsewhere(entry) or not (entry.filename in (MANIFEST, manifest.database) or _is_upload(entry)):
            raise OperatorError(f"{path} holds '{entry.filename}', which no backup of ours does: it is not restored.")


def _is_upload(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.startswith(UPLOADS) and not entry.is_dir()


def _leads_elsewhere(entry: zipfile.ZipInfo) -> bool:
    name = PurePath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return name.is_absolute() or bool(name.drive) or ".." in name.parts or kind not in (0, stat.S_IFREG)


def _foreign(path: Path) -> str:
    return f"{path} is not a backup of this program, or only a part of one. Take a file that `backup` has written."
