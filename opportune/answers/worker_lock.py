"""Tells at once which processes of this machine have died: each holds a lock that the system lets go of with it.

Elsewhere, and where there are no such locks, the leases of answers tell it after some seconds.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path


class WorkerLock:
    """A lock of this process, until `release`, and a look at those of others."""

    def __init__(self, address: str, worker: str) -> None:
        """`address`: the database's, which all workers of a site share."""
        self.worker = worker
        self._address = address
        self._descriptor: int | None = None

    @property
    def _folder(self) -> Path:
        name = hashlib.sha256(self._address.encode()).hexdigest()[:16]
        if sys.platform == "win32":
            return Path(tempfile.gettempdir(), f"opportune-answers-{name}")
        return Path(tempfile.gettempdir(), f"opportune-answers-{os.getuid()}-{name}")

    def hold(self) -> None:
        """Have others see that this process lives, from now on."""
        from opportune.llm.local_process import make_private  # noqa: PLC0415 - the start need not wait for it

        if self._descriptor is None and sys.platform != "win32" and make_private(self._folder):
            self._descriptor = _locked(self._folder / self.worker, os.O_CREAT)

    def release(self) -> None:
        if self._descriptor is not None:
            (self._folder / self.worker).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def is_dead(self, worker: str) -> bool | None:
        """Whether the process of this machine has gone; None of one that is not known here."""
        if sys.platform == "win32":
            return None
        path = self._folder / worker
        try:
            descriptor = _locked(path)
        except OSError:
            return None
        if descriptor is None:
            return False
        path.unlink(missing_ok=True)
        os.close(descriptor)
        return True


def _locked(path: Path, flags: int = 0) -> int | None:
    """An open file that is locked by us; None where it is by another."""
    if sys.platform == "win32":
        raise OSError("Windows has no such locks")
    import fcntl  # noqa: PLC0415 - Windows has no such module

    descriptor = os.open(path, os.O_RDWR | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
