"""Backups at BACKUP_URL: a bucket, or a folder, that is written and read as a stream."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from opportune.config.settings import Settings, has_value
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.ops.backup.age import SUFFIX
from opportune.ops.backup.archive import Sink
from opportune.ops.backup.encryption import decrypt, encrypting, is_encrypting
from opportune.storage.bucket import open_bucket, summarize
from opportune.storage.location import Bucket, parse_backup_url

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

PART_BYTES = 8 * 1024 * 1024
"""Of which one is in memory and one is on its way: 10,000 of them, the most that S3 takes, make 80 GB."""
RESPONSE_TIMEOUT, RETRY_TIMEOUT = timedelta(seconds=120), timedelta(seconds=30)
NAME = re.compile(r"(?P<site>[a-z0-9.-]+)-(?P<made>\d{8}T\d{6}Z)-(?P<kind>[a-z]+)\.zip(?P<encrypted>\.age)?")
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
MISSING = "there is no such bucket, or no such file"
KEY_SETTINGS = ("BACKUP_RECIPIENT", "BACKUP_IDENTITY", "BACKUP_PASSPHRASE")
SWITCHED_OFF = "BACKUP_URL is empty: say where backups are (docs/backups.md)."


@dataclass(frozen=True, order=True)
class StoredBackup:
    """A backup that is there by a name of ours."""

    made: datetime
    """In UTC."""
    name: str
    bytes: int
    site: str
    """What its name begins with."""

    @property
    def is_encrypted(self) -> bool:
        return self.name.endswith(SUFFIX)


@dataclass(frozen=True)
class Written:
    """What was sent to a store."""

    bytes: int
    sha256: str


class BackupStore:
    """Where the backups of a site are. Every method raises OperatorError, with one line, where that is away."""

    def __init__(self, settings: Settings) -> None:
        """Raises OperatorError where BACKUP_URL is empty or malformed."""
        place = backup_location(settings)
        if place is None:
            raise OperatorError(SWITCHED_OFF)
        self.place = place
        self.site, self._named_by = _name_of(settings)
        self._settings = settings
        self._keys = [name for name in KEY_SETTINGS if has_value(getattr(settings, name.lower()))]
        self._client: LocalStore | S3Store | None = None

    @property
    def label(self) -> str:
        return self.place.label if isinstance(self.place, Bucket) else str(self.place)

    def new_name(self, kind: str) -> str:
        suffix = SUFFIX if is_encrypting(self._settings) else ""
        return f"{self.site}-{datetime.now(UTC).strftime(TIME_FORMAT)}-{kind}.zip{suffix}"

    def all(self) -> list[StoredBackup]:
        """Those of this site, the newest first."""
        return [each for each in self._of_any_site() if each.site == self.site]

    def find(self, name: str = "") -> StoredBackup:
        """Return the backup of that name; without a name, this site's newest, an encrypted one where a key is set."""
        there = self._of_any_site()
        backups = [each for each in there if each.site == self.site]
        if found := next((each for each in there if each.name == name), None):
            return found
        if not backups:
            others = f" If {there[0].name} is this site's, give that name." if there else ""
            raise OperatorError(
                f"There is no backup of this site at {self.label}: by {self._named_by} their names begin with "
                f"{self.site}-.{others}"
            )
        if name:
            raise OperatorError(f"There is no backup {name} at {self.label}. The newest is {backups[0].name}.")
        if found := next((each for each in backups if each.is_encrypted or not self._keys), None):
            return found
        raise OperatorError(
            f"None of the backups at {self.label} is encrypted by {' or '.join(self._keys)}: to take one that anybody "
            "may have put there, give its name."
        )

    def write(self, name: str, content: Callable[[Sink], object]) -> Written:
        """Store what `content` writes; there is nothing by that name until all of it is there."""
        from obstore import open_writer

        try:
            with self._answering() as client:
                file = open_writer(client, name, buffer_size=PART_BYTES, max_concurrency=1)
            sink = _Counted(file.write, self._answering)
            with encrypting(sink, self._settings) as target:
                content(target)
            with self._answering():
                file.close()
        finally:
            if isinstance(self.place, Path):
                with self._answering():
                    _tidy(self.place, name)
        return Written(sink.bytes, sink.digest.hexdigest())

    def verify(self, name: str, written: Written) -> None:
        """Read a backup back, whole, and compare. Where it is another it goes, so that nobody takes it for the newest.

        Raises:
            OperatorError: it is another, or cannot be read.
        """
        digest, size = hashlib.sha256(), 0
        for part in self._parts(name):
            digest.update(part)
            size += len(part)
        if (size, digest.hexdigest()) != (written.bytes, written.sha256):
            with self._answering() as client:
                client.delete(name)
            raise OperatorError(
                f"{name} at {self.label} is not what was sent there ({size:,} of {written.bytes:,} bytes)."
            )

    def fetch(self, backup: StoredBackup, file: BinaryIO) -> None:
        """Write the archive into a file, decrypted."""
        parts = self._parts(backup.name)
        if backup.is_encrypted:
            decrypt(backup.name, io.BufferedReader(_Parts(parts)), file, self._settings)
        else:
            file.writelines(parts)
        file.flush()

    def delete(self, backup: StoredBackup) -> None:
        with self._answering() as client:
            client.delete(backup.name)

    def _of_any_site(self) -> list[StoredBackup]:
        with self._answering() as client:
            objects = client.list_with_delimiter()["objects"]
        found = (_parsed(str(each["path"]).rpartition("/")[2], each["size"]) for each in objects)
        return sorted(filter(None, found), reverse=True)

    def _parts(self, name: str) -> Iterator[bytes]:
        """Each by a request of its own: one for all of it would be cut after a while."""
        from obstore import open_reader

        with self._answering() as client:
            reader = open_reader(client, name, buffer_size=PART_BYTES)
            while part := bytes(reader.read(PART_BYTES)):
                yield part

    @contextmanager
    def _answering(self) -> "Iterator[LocalStore | S3Store]":
        from obstore.exceptions import BaseError

        try:
            yield self._opened()
        except (BaseError, OSError, ValueError) as error:
            reason = MISSING if isinstance(error, FileNotFoundError) else summarize(error)
            raise OperatorError(f"{self.label} does not take or give backups: {reason}.") from error

    def _opened(self) -> "LocalStore | S3Store":
        if self._client is None:
            if isinstance(self.place, Bucket):
                self._client = open_bucket(self.place, RESPONSE_TIMEOUT, RETRY_TIMEOUT)
            else:
                from obstore.store import LocalStore

                self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._client = LocalStore(self.place)
        return self._client


def backup_location(settings: Settings) -> Path | Bucket | None:
    """Parse BACKUP_URL; None where it is empty. Raises OperatorError."""
    text = settings.backup_url.get_secret_value()
    return parse_backup_url(text) if text.strip() else None


class _Counted:
    """Passes on what is written, and knows its size and checksum."""

    def __init__(self, write: Callable[[bytes], int], answering: Callable[[], AbstractContextManager[object]]) -> None:
        self._write = write
        self._answering = answering
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        content = bytes(content)
        with self._answering():
            self._write(content)
        self.digest.update(content)
        self.bytes += len(content)
        return len(content)

    def flush(self) -> None:
        """A part is sent when it is full."""


class _Parts(io.RawIOBase):
    """Parts of a download as a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or memoryview(next(self._parts, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _name_of(settings: Settings) -> tuple[str, str]:
    """What the names of a site's backups begin with, and by which setting: its address, which no other site has."""
    address = urlsplit(settings.base_url)
    if address.hostname and not is_local(address.hostname):
        return re.sub(r"[^a-z0-9.]+", "-", address.netloc.lower()), "BASE_URL"
    return re.sub(r"[^a-z0-9]+", "-", settings.site_name.lower()).strip("-") or "site", "SITE_NAME"


def _parsed(name: str, size: int) -> StoredBackup | None:
    found = NAME.fullmatch(name)
    if not found:
        return None
    try:
        made = datetime.strptime(found["made"], TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return StoredBackup(made, name, size, found["site"])


def _tidy(folder: Path, name: str) -> None:
    """Let nobody else read a backup, and leave no part of one that was given up."""
    for left in folder.glob(f"{name}#*"):
        left.unlink(missing_ok=True)
    if (path := folder / name).exists():
        path.chmod(0o600)
