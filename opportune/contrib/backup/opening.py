"""Open a backup by its name: a local file, or one at BACKUP_URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opportune.config.settings import Settings
from opportune.contrib.backup.age import SUFFIX
from opportune.contrib.backup.encryption import decrypt, report_unused_key
from opportune.contrib.backup.scratch import scratch_folder
from opportune.contrib.backup.settings import BackupSettings
from opportune.contrib.backup.store import NAME, BackupStore
from opportune.errors import OperatorError
from opportune.progress import work


@contextmanager
def open_backup(settings: Settings, name: str) -> Iterator[tuple[Path, str]]:
    """Yield the path of a decrypted archive, and the name of the backup for messages."""
    path = Path(name)
    is_local = is_local_file(settings, name)
    if is_local and settings.of(BackupSettings).location is not None and not path.exists():
        raise OperatorError(f"There is no file {name}. `backup --list` shows the names at BACKUP_URL.")
    if is_local and path.suffix != SUFFIX:
        report_unused_key(name, "is not encrypted", settings.of(BackupSettings))
        yield path, name
        return
    with scratch_folder() as folder, (folder / "backup.zip").open("xb") as file:
        try:
            if is_local:
                with path.open("rb") as source:
                    decrypt(name, source, file, settings.of(BackupSettings))
            else:
                store = BackupStore(settings)
                backup = store.find(name)
                name = backup.name
                with work(f"Downloading {name}"):
                    store.fetch(backup, file)
            file.flush()
        except OSError as error:
            problem = "read" if error.filename else f"stored in {folder}"  # TMPDIR is full
            raise OperatorError(f"{name} cannot be {problem}: {error.strerror}.") from error
        yield Path(file.name), name


def is_local_file(settings: Settings, name: str) -> bool:
    """Return True for a local file, False for a name at BACKUP_URL, or no name, which means the newest one there."""
    can_be_at_url = settings.of(BackupSettings).location is not None and NAME.fullmatch(name)
    return bool(name) and (Path(name).exists() or not can_be_at_url)
