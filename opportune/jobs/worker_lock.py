"""Liveness of worker processes on this machine: each holds a file lock, which the system releases when it dies.

On other machines and on Windows, the leases of jobs and answers expire after some seconds instead.

The file also lists the jobs that the worker has started, because a worker claims more jobs than it can start.
"""

import hashlib
import os
import sys
import tempfile
from array import array
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from opportune.project.atomic_files import make_private_folder

MAX_ATTEMPTS = 5
"""Attempts to take a lock whose file another process is removing."""


class WorkerLock:
    """Lock of this worker, and checks whether other workers still hold theirs."""

    def __init__(self, database_url: str, worker: str) -> None:
        """Prepare the lock.

        Args:
            database_url: URL of the database, which all workers of a site share.
            worker: Unique id of this worker.
        """
        self.worker = worker
        self._database_url = database_url
        self._descriptor: int | None = None

    @property
    def _folder(self) -> Path:
        name = hashlib.sha256(self._database_url.encode()).hexdigest()[:16]
        if sys.platform == "win32":
            return Path(tempfile.gettempdir(), f"opportune-workers-{name}")
        return Path(tempfile.gettempdir(), f"opportune-workers-{os.getuid()}-{name}")

    def acquire(self) -> None:
        """Take the lock, if the operating system has such locks."""
        path = self._folder / self.worker
        for _ in range(MAX_ATTEMPTS):
            if self._descriptor is not None or not make_private_folder(self._folder):
                return
            with suppress(OSError):  # the folder was removed, or this process cannot open files
                self._descriptor = _open_and_lock(path, os.O_CREAT)
                if self._descriptor is not None and not path.exists():
                    os.close(self._descriptor)
                    self._descriptor = None

    def release(self) -> None:
        """Release the lock and remove the files of this process and of dead ones."""
        if self._descriptor is None:
            return
        (self._folder / self.worker).unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None
        with suppress(OSError):  # the folder is not empty, because another worker is alive
            for worker in self._other_workers():
                if self.is_dead(worker) and not self._read_started(worker):
                    self.forget(worker)
            self._folder.rmdir()

    def add_started(self, job_id: int) -> None:
        """List a job before it starts."""
        if self._descriptor is not None:
            self._write(self._descriptor, [job_id])

    def replace_started(self, job_ids: Iterable[int]) -> None:
        """List only these jobs, because the outcomes of the others are stored."""
        if self._descriptor is not None:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.ftruncate(self._descriptor, self._write(self._descriptor, job_ids))

    def _write(self, descriptor: int, job_ids: Iterable[int]) -> int:
        """Write ids at the current position, and return the number of bytes.

        If that fails, the list is emptied, so that all claimed jobs count as started.
        """
        content = array("q", job_ids).tobytes()
        with suppress(OSError):  # the disk is full
            if os.write(descriptor, content) == len(content):
                return len(content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        return 0

    def started_by_dead_workers(self) -> dict[str, list[int]]:
        """Return the jobs that dead workers of this machine had started, by worker, until `forget` is called."""
        dead_workers = [worker for worker in self._other_workers() if self.is_dead(worker)]
        started_by_worker = {worker: self._read_started(worker) for worker in dead_workers}
        return {worker: job_ids for worker, job_ids in started_by_worker.items() if job_ids}

    def _read_started(self, worker: str) -> list[int]:
        with suppress(OSError, ValueError):  # another worker has removed the file, or it is incomplete
            return array("q", (self._folder / worker).read_bytes()).tolist()
        return []

    def forget(self, worker: str) -> None:
        """Remove the file of a dead worker."""
        (self._folder / worker).unlink(missing_ok=True)

    def living_workers(self) -> list[str]:
        """Return the ids of other living workers on this machine."""
        return [name for name in self._other_workers() if self.is_dead(name) is False]

    def _other_workers(self) -> list[str]:
        try:
            return [path.name for path in self._folder.iterdir() if path.name != self.worker]
        except OSError:  # no worker holds a lock here
            return []

    def is_dead(self, worker: str) -> bool | None:
        """Return whether a worker has died; None if it has no file here."""
        try:
            descriptor = _open_and_lock(self._folder / worker)
        except OSError:
            return None
        if descriptor is None:
            return False
        os.close(descriptor)
        return True


def _open_and_lock(path: Path, flags: int = 0) -> int | None:
    """Open and lock a file; None if another process has locked it."""
    if sys.platform == "win32":
        raise OSError("Windows has no such locks")
    import fcntl

    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
