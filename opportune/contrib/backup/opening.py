"""Open a backup by its name: a local file, or one at BACKUP_URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from opportune.config.settings import Settings
from opportune.contrib.backup.age import SUFFIX
from opportune.contrib.backup.encryption import decrypt, report_unused_key
from opportune.contrib.backup.scratch import scratch_folder
from opportune.contrib.backup.settings import BackupSettings
from opportune.contrib.backup.store import NAME, BackupStore, StoredBackup
from opportune.errors import OperatorError
from opportune.progress import work


class OpenedBackup(NamedTuple):
    """A decrypted archive."""

    path: Path
    name: str
    """Name of the backup for messages."""


@contextmanager
def open_backup(settings: Settings, name: str) -> Iterator[OpenedBackup]:
    path = Path(name)
    if is_local_file(settings, name):
        if settings.of(BackupSettings).location is not None and not path.exists():
            raise OperatorError(f"There is no file {name}. `backup --list` shows the names at BACKUP_URL.")
        if path.suffix != SUFFIX:
            report_unused_key(name, "is not encrypted", settings.of(BackupSettings))
            yield OpenedBackup(path, name)
            return
        write = partial(_decrypt_file, settings, name)
    else:
        store = BackupStore(settings)
        backup = store.find(name)
        name = backup.name
        write = partial(_download, store, backup)
    with scratch_folder() as folder, (folder / "backup.zip").open("xb") as file:
        try:
            write(file)
            file.flush()
        except OSError as error:
            problem = "read" if error.filename else f"stored in {folder}"  # TMPDIR is full
            raise OperatorError(f"{name} cannot be {problem}: {error.strerror}.") from error
        yield OpenedBackup(Path(file.name), name)


def _decrypt_file(settings: Settings, name: str, file: BinaryIO) -> None:
    with Path(name).open("rb") as source:
        decrypt(name, source, file, settings.of(BackupSettings))


def _download(store: BackupStore, backup: StoredBackup, file: BinaryIO) -> None:
    with work(f"Downloading {backup.name}"):
        store.fetch(backup, file)


def is_local_file(settings: Settings, name: str) -> bool:
    """Return True for a local file, False for a name at BACKUP_URL, or no name, which means the newest one there."""
    can_be_at_url = settings.of(BackupSettings).location is not None and NAME.fullmatch(name)
    return bool(name) and (Path(name).exists() or not can_be_at_url)
