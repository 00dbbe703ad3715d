"""A backup from here to BACKUP_URL, and those that it supersedes."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from opportune.config.settings import Settings
from opportune.db.migrations.connection import migration_url
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.ops.backup.archive import Manifest, Sink
from opportune.ops.backup.create import Notify, refuse_unmigrated, write_archive
from opportune.ops.backup.retention import parse_keep, superseded
from opportune.ops.backup.store import BackupStore, StoredBackup
from opportune.runtime.atomic_files import private_folder
from opportune.runtime.progress import Progress, watched_by

PREFIX = "opportune-backup-"
NO_DISK = "This machine has no folder for temporary files that can be written ({reason}): a backup needs one."


@dataclass(frozen=True)
class Made:
    """A backup that has arrived, and what went for it."""

    backup: StoredBackup
    superseded: list[StoredBackup]

    def __str__(self) -> str:
        return f"{self.backup.name} ({self.backup.bytes / 1000:,.0f} kB)"


def send_backup(settings: Settings, graph: MigrationGraph, notify: Notify, stop: threading.Event | None = None) -> Made:
    """Make a backup at BACKUP_URL, read it back, and only then delete what BACKUP_KEEP does not keep.

    It is sent while it is made: of the database there is a copy among the temporary files meanwhile, of the rest none.
    `stop` ends it.

    Raises:
        OperatorError: it could not be made, or did not arrive whole. Older ones are as they were.
    """
    keep, store = parse_keep(settings.backup_keep), BackupStore(settings)
    refuse_unmigrated(settings)
    name = store.new_name(migration_url(settings).kind)
    stoppable = _Stoppable(stop or threading.Event())
    with scratch_folder() as folder, watched_by(stoppable.show) if stop else nullcontext():

        def content(sink: Sink) -> Manifest:
            stoppable.sink = sink
            try:
                with_bucket = settings.backup_bucket_uploads
                return write_archive(settings, graph, stoppable, folder / "database", notify, with_bucket=with_bucket)
            except OSError as error:
                raise OperatorError(f"The backup cannot be made in {folder}: {error.strerror or error}.") from error

        written = store.write(name, content)
    store.verify(name, written)
    backups = store.all()
    made = next(each for each in backups if each.name == name)
    # What has another clock's time of tomorrow in its name is not ours to judge by.
    old = superseded([each for each in backups if each.made <= made.made], keep)
    return Made(made, list(_deleted(store, old, notify)))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A private folder among the temporary files. Raises OperatorError where there can be none."""
    with ExitStack() as stack:
        try:
            path = stack.enter_context(private_folder(PREFIX))
        except OSError as error:
            raise OperatorError(NO_DISK.format(reason=error.strerror or error)) from None
        yield path


class _Stoppable:
    """A sink, and what work tells its progress to: both raise OperatorError once the event is set."""

    sink: Sink

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def write(self, content: bytes) -> int:
        self.advance()
        return self.sink.write(content)

    def flush(self) -> None:
        self.sink.flush()

    @contextmanager
    def show(self, _label: str, _total: int | None, _unit: str) -> Iterator[Progress]:
        yield self

    def advance(self, count: int = 1) -> None:
        del count
        if self._stop.is_set():
            raise OperatorError("The process ends, and another one makes the backup.")

    def describe(self, label: str) -> None:
        """What is being done is nobody's matter here."""


def _deleted(store: BackupStore, backups: list[StoredBackup], notify: Notify) -> Iterator[StoredBackup]:
    for backup in backups:
        try:
            store.delete(backup)
        except OperatorError as error:  # the new one is there: that is what counts
            notify(f"{backup.name} stays: {error}")
            return
        yield backup
