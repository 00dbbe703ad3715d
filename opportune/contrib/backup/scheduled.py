"""Backups at BACKUP_URL: create a new one, and delete superseded ones. A shutdown aborts a scheduled backup."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from opportune.config.settings import Settings
from opportune.contrib.backup.archive import Member, Sink
from opportune.contrib.backup.create import refuse_unmigrated, write_archive
from opportune.contrib.backup.database_copy import Notify
from opportune.contrib.backup.scratch import scratch_folder
from opportune.contrib.backup.settings import BackupSettings, parse_keep
from opportune.contrib.backup.store import BackupStore, StoredBackup
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.progress import Progress, watched_by

PERIODS = {"hourly": "%Y-%m-%d %H", "daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m", "yearly": "%Y"}
"""Formats in which all times within one period are equal, by the name of the period in BACKUP_KEEP."""
PROTECTED_PERIOD = timedelta(days=1)
"""Backups from this period before the newest always remain, because the newest may contain damaged data."""


def find_superseded(backups: Sequence[StoredBackup], keep: Mapping[str, int]) -> list[StoredBackup]:
    """Return the backups to delete, oldest first. The newest and those less than a day older always remain."""
    newest_first = sorted(backups, reverse=True)
    remaining = {backup for backup in newest_first if newest_first[0].created - backup.created < PROTECTED_PERIOD}
    for period, count in keep.items():
        newest_per_period: dict[str, StoredBackup] = {}
        for backup in newest_first:
            newest_per_period.setdefault(backup.created.strftime(PERIODS[period]), backup)
        remaining |= set(list(newest_per_period.values())[:count])
    return sorted(set(backups) - remaining)


@dataclass(frozen=True)
class BackupResult:
    """New backup, and the superseded ones that were deleted."""

    backup: StoredBackup
    superseded: list[StoredBackup]

    def __str__(self) -> str:
        return f"{self.backup.name} ({self.backup.size / 1000:,.0f} kB)"


def send_backup(
    settings: Settings, graph: MigrationGraph, notify: Notify, stop: threading.Event | None = None
) -> BackupResult:
    """Write a backup to BACKUP_URL as a stream, verify it, then delete the backups that BACKUP_KEEP does not keep.

    After a failure, older backups are unchanged.

    Args:
        settings: Settings of the site.
        graph: Migrations of the installed features.
        notify: Function that reports a notice to the user.
        stop: Event that aborts the backup.
    """
    store = BackupStore(settings)
    refuse_unmigrated(settings)
    name = store.new_name(direct_url(settings).kind)
    with scratch_folder() as folder:
        write_content = partial(_write_archive, settings, graph, folder, notify)
        sent = _write_until(stop, store, name, write_content) if stop else store.write(name, write_content)
    store.verify(name, sent)
    stored = store.list_own()
    new_backup = store.find(name, stored)
    # Ignore backups with a time in the future, written by a machine with a wrong clock.
    candidates = [backup for backup in stored if backup.created <= new_backup.created]
    old_backups = find_superseded(candidates, parse_keep(settings.of(BackupSettings).backup_keep))
    return BackupResult(new_backup, _delete_backups(store, old_backups, notify))


def _write_until(stop: threading.Event, store: BackupStore, name: str, content: Callable[[Sink], None]) -> Member:
    """Write a backup, and raise OperatorError as soon as the event is set."""
    with watched_by(StoppableProgress(stop).show):
        return store.write(name, lambda sink: content(StoppableSink(sink, stop)))


def _write_archive(settings: Settings, graph: MigrationGraph, folder: Path, notify: Notify, sink: Sink) -> None:
    with_bucket = settings.of(BackupSettings).backup_bucket_uploads
    try:
        write_archive(settings, graph, sink, folder / "database", notify, with_bucket=with_bucket)
    except OSError as error:
        raise OperatorError(f"The backup cannot be created in {folder}: {error.strerror or error}.") from error


def _delete_backups(store: BackupStore, backups: list[StoredBackup], notify: Notify) -> list[StoredBackup]:
    """Delete backups until one cannot be deleted, and return the deleted ones."""
    deleted = []
    for backup in backups:
        try:
            store.delete(backup)
        except OperatorError as error:  # the new backup is complete, so the job succeeds
            notify(f"{backup.name} was not deleted: {error}")
            break
        deleted.append(backup)
    return deleted


class StoppableProgress:
    """Progress that raises OperatorError once the event is set, instead of showing it."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    @contextmanager
    def show(self, _label: str, _total: int | None, _unit: str) -> Iterator[Progress]:
        yield self

    def advance(self, count: int = 1) -> None:
        require_running(self._stop)

    def describe(self, label: str) -> None:
        """Do nothing: `advance` checks the event."""


class StoppableSink:
    """Sink that also checks the event, because long writes report no progress."""

    def __init__(self, sink: Sink, stop: threading.Event) -> None:
        self._sink = sink
        self._stop = stop

    def write(self, content: bytes) -> int:
        require_running(self._stop)
        return self._sink.write(content)

    def flush(self) -> None:
        self._sink.flush()


def require_running(stop: threading.Event) -> None:
    if stop.is_set():
        raise OperatorError("The process is shutting down. Another worker will make the backup.")
