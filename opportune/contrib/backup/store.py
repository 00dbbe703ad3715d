"""Backups at BACKUP_URL, a bucket or a folder, written and read as streams."""

import hashlib
import io
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from opportune.config.settings import Settings
from opportune.config.validated_settings import has_value
from opportune.contrib.backup.age import SUFFIX
from opportune.contrib.backup.archive import Member, Sink, copy_stream
from opportune.contrib.backup.encryption import decrypt, encrypting, is_encrypting, report_unused_key
from opportune.contrib.backup.settings import BackupSettings
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.storage.bucket import open_bucket, summarize
from opportune.storage.location import Bucket

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import LocalStore, S3Store

PART_BYTES = 8 * 1024 * 1024
"""Size of a part of an upload. S3 allows 10,000 parts, so a backup has at most 80 GB."""
RESPONSE_TIMEOUT = timedelta(seconds=120)
RETRY_TIMEOUT = timedelta(seconds=30)
NAME = re.compile(r"(?P<site>[a-z0-9.-]+)-(?P<created>\d{8}T\d{6}Z)-[a-z]+\.zip(?:\.age)?")
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
KEY_SETTINGS = ("BACKUP_RECIPIENT", "BACKUP_IDENTITY", "BACKUP_PASSPHRASE")
SWITCHED_OFF = "BACKUP_URL is empty: set it to the bucket or folder for backups (oppman.py docs backups)."


@dataclass(frozen=True, order=True)
class StoredBackup:
    """A backup at BACKUP_URL, described by its name."""

    created: datetime
    """Time of creation in UTC."""
    name: str
    size: int
    """Bytes."""
    site: str
    """Prefix of the name, from BASE_URL or SITE_NAME."""

    @property
    def is_encrypted(self) -> bool:
        return self.name.endswith(SUFFIX)


class BackupStore:
    """Bucket or folder with a site's backups. Every method raises OperatorError if the store is unavailable."""

    def __init__(self, settings: Settings) -> None:
        """Raises OperatorError if BACKUP_URL is empty."""
        self._settings = settings.of(BackupSettings)
        location = self._settings.location
        if location is None:
            raise OperatorError(SWITCHED_OFF)
        self.location = location
        host = _public_host(settings)
        self._prefix_setting = "BASE_URL" if host else "SITE_NAME"
        self.site = host or re.sub(r"[^a-z0-9]+", "-", settings.site_name.lower()).strip("-") or "site"
        self._keys = [name for name in KEY_SETTINGS if has_value(getattr(self._settings, name.lower()))]
        self._client: LocalStore | S3Store | None = None

    @property
    def label(self) -> str:
        return self.location.label if isinstance(self.location, Bucket) else str(self.location)

    def new_name(self, kind: str) -> str:
        suffix = SUFFIX if is_encrypting(self._settings) else ""
        return f"{self.site}-{datetime.now(UTC).strftime(TIME_FORMAT)}-{kind}.zip{suffix}"

    def list_own(self) -> list[StoredBackup]:
        """Return the backups of this site, newest first."""
        return self._of_this_site(self._backups_of_all_sites())

    def find(self, name: str = "", stored: Sequence[StoredBackup] | None = None) -> StoredBackup:
        """Return the backup with this name, of any site. Default: this site's newest, encrypted if a key is set.

        By default, the backups to search are listed.
        """
        stored = self._backups_of_all_sites() if stored is None else stored
        if name:
            matches = [backup for backup in stored if backup.name == name]
        else:
            matches = [backup for backup in self._of_this_site(stored) if backup.is_encrypted or not self._keys]
        if not matches:
            raise OperatorError(self._explain_missing(name, stored))
        return matches[0]

    def _explain_missing(self, name: str, stored: Sequence[StoredBackup]) -> str:
        backups = self._of_this_site(stored)
        if not backups:
            hint = f" If {stored[0].name} belongs to this site, pass that name." if stored else ""
            return (
                f"There is no backup of this site at {self.label}. Their names begin with {self.site}- "
                f"(from {self._prefix_setting}).{hint}"
            )
        if name:
            return f"There is no backup {name} at {self.label}. The newest is {backups[0].name}."
        return (
            f"The backups at {self.label} are not encrypted with {' or '.join(self._keys)}, so anyone with access may "
            "have written them. To use one anyway, pass its name."
        )

    def write(self, name: str, content: Callable[[Sink], object]) -> Member:
        """Store what `content` writes, and return its size and checksum.

        The name appears only when the backup is complete.
        """
        from obstore import open_writer

        try:
            with self._connected() as client:
                file = open_writer(client, name, buffer_size=PART_BYTES, max_concurrency=1)
            sink = _HashingSink(file.write, self._connected)
            with encrypting(sink, self._settings) as target:
                content(target)
            with self._connected():
                file.close()
        finally:
            if isinstance(self.location, Path):
                with self._connected():
                    _clean_folder(self.location, name)
        return Member(size=sink.size, sha256=sink.digest.hexdigest())

    def verify(self, name: str, sent: Member) -> None:
        """Compare a stored backup with the sent one, and delete it if they differ."""
        with self._open(name) as source:
            arrived = copy_stream(source, None)
        if arrived != sent:
            with self._connected() as client:
                client.delete(name)
            raise OperatorError(
                f"{name} arrived damaged at {self.label} and was deleted ({arrived.size:,} of {sent.size:,} bytes)."
            )

    def fetch(self, backup: StoredBackup, file: BinaryIO) -> None:
        """Download a backup into a file and decrypt it."""
        with self._open(backup.name) as source:
            if backup.is_encrypted:
                decrypt(backup.name, source, file, self._settings)
            else:
                report_unused_key(backup.name, "is not encrypted", self._settings)
                shutil.copyfileobj(source, file, PART_BYTES)

    def delete(self, backup: StoredBackup) -> None:
        with self._connected() as client:
            client.delete(backup.name)

    def _of_this_site(self, backups: Sequence[StoredBackup]) -> list[StoredBackup]:
        return [backup for backup in backups if backup.site == self.site]

    def _backups_of_all_sites(self) -> list[StoredBackup]:
        with self._connected() as client:
            objects = client.list_with_delimiter()["objects"]
        backups = (_parse_name(str(item["path"]).rpartition("/")[2], item["size"]) for item in objects)
        return sorted(filter(None, backups), reverse=True)

    def _open(self, name: str) -> io.BufferedReader:
        from obstore import open_reader

        with self._connected() as client:
            return io.BufferedReader(_Download(open_reader(client, name, buffer_size=PART_BYTES), self._connected))

    @contextmanager
    def _connected(self) -> "Iterator[LocalStore | S3Store]":
        from obstore.exceptions import BaseError

        try:
            yield self._open_client()
        except (BaseError, OSError, ValueError) as error:
            reason = "the bucket or file does not exist" if isinstance(error, FileNotFoundError) else summarize(error)
            raise OperatorError(f"{self.label} cannot be used for backups: {reason}.") from error

    def _open_client(self) -> "LocalStore | S3Store":
        if self._client is None:
            if isinstance(self.location, Bucket):
                self._client = open_bucket(self.location, RESPONSE_TIMEOUT, RETRY_TIMEOUT)
            else:
                from obstore.store import LocalStore

                self.location.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._client = LocalStore(self.location)
        return self._client


class _HashingSink:
    """Sink that counts the bytes and computes their checksum."""

    def __init__(self, write: Callable[[bytes], int], connected: Callable[[], AbstractContextManager[object]]) -> None:
        self._write = write
        self._connected = connected
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        content = bytes(content)
        with self._connected():
            self._write(content)
        self.digest.update(content)
        self.size += len(content)
        return len(content)

    def flush(self) -> None:
        """Do nothing: a part is sent when it is full."""


class _Download(io.RawIOBase):
    """Readable backup. Each part comes from its own request, because S3 services close one that takes too long."""

    def __init__(self, file: "ReadableFile", connected: Callable[[], AbstractContextManager[object]]) -> None:
        self._file = file
        self._connected = connected

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._connected():
            part = bytes(self._file.read(len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def _public_host(settings: Settings) -> str:
    """Return host and port in BASE_URL, as part of a name; empty if there is no public one."""
    base_url = urlsplit(settings.base_url)
    is_public = base_url.hostname and not is_local(base_url.hostname)
    return re.sub(r"[^a-z0-9.]+", "-", base_url.netloc.lower()) if is_public else ""


def _parse_name(name: str, size: int) -> StoredBackup | None:
    with suppress(ValueError):
        if match := NAME.fullmatch(name):
            created = datetime.strptime(match["created"], TIME_FORMAT).replace(tzinfo=UTC)
            return StoredBackup(created, name, size, match["site"])
    return None


def _clean_folder(folder: Path, name: str) -> None:
    """Make a new backup private to this user. Delete the parts of an aborted backup."""
    for part in folder.glob(f"{name}#*"):
        part.unlink(missing_ok=True)
    path = folder / name
    if path.exists():
        path.chmod(0o600)
